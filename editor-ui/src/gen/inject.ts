/* Made by npm run gen: do not edit. */

/**
 * Starts a flow: by its button, at intervals, or by a schedule.
 * 
 * The message has the properties listed here, set in order; `payload` is the time by default. **Repeat** sends every
 * so many seconds; **Schedule** is a cron pattern with five fields (minute, hour, day of month, month, day of week)
 * or six (seconds first), in the time zone of the machine, and counts only when **Repeat** is empty.
 * 
 * A message sent to the node, or the body of `POST /inject/:id`, may bring its own list of properties as
 * `__user_inject_props__`, for that one time.
 */
export interface InjectConfig {
/**
 * Properties of the message, set in this order.
 */
props?: ({
/**
 * Where it goes, such as `payload` or `payload.level`.
 */
p: string
/**
 * Its value. A payload or topic without a value takes the node's own.
 */
v?: {
[k: string]: unknown
}
/**
 * Type of the value.
 */
vt?: (string | null)
}[] | null)
/**
 * Seconds between two messages; empty for none.
 */
repeat?: (number | string | null)
/**
 * When to send, as a cron pattern such as `0 8 * * 1-5` (at eight on weekdays).
 */
crontab?: (string | number | boolean | null)
/**
 * Also send once after the start.
 */
once?: (boolean | string | number | null)
/**
 * Seconds after the start before the first message.
 */
onceDelay?: (number | string | null)
/**
 * Topic, where the list of properties names it without a value.
 */
topic?: (string | number | boolean | null)
/**
 * Payload, where the list of properties names it without a value.
 */
payload?: string
/**
 * Type of the payload.
 */
payloadType?: (string | null)
}
