/* Made by npm run gen: do not edit. */

/**
 * Puts the messages of a sequence together to one.
 * 
 * Automatic undoes a split: `msg.parts` says how many messages belong together, and how. Custom collects as chosen
 * here, until there are enough, the time is over, or a message has `complete`. The result carries the properties of all
 * its messages; later ones win.
 * 
 * Sequences that are not complete are kept through restarts and deploys. A message with `reset` drops what was
 * collected, one with `restartTimeout` lets the time begin anew.
 */
export interface JoinConfig {
/**
 * How messages are put together.
 */
mode?: ("auto" | "custom" | "reduce")
/**
 * What they become.
 */
build?: ("object" | "array" | "string" | "buffer" | "merged")
/**
 * What is put together.
 */
property?: string
/**
 * A property (`msg`) or the whole message (`full`).
 */
propertyType?: string
/**
 * Property whose value names each value of the object.
 */
key?: string
/**
 * What stands between them: text (`\n` is known), or bytes such as `[13,10]`.
 */
joiner?: (string | number | boolean | null)
/**
 * Text (`str`) or bytes (`bin`).
 */
joinerType?: string
/**
 * Use `msg.parts` as it came; else it is taken off first.
 */
useparts?: (boolean | string | number | null)
/**
 * Number of messages, or of properties of an object. Empty: as many as `msg.parts` says.
 */
count?: (number | string | null)
/**
 * Seconds from the first message to the latest moment at which the result is sent. Empty: any time.
 */
timeout?: (number | string | null)
/**
 * Once complete, send the grown result with every further message.
 */
accumulate?: (boolean | string | number | null)
/**
 * When the source of a message hears that it is in good hands.
 */
ack?: ("accept" | "through")
}
