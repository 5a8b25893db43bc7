/* Made by npm run gen: do not edit. */

/**
 * Gives a command to a device over MQTT, and makes sure that it was carried out.
 * 
 * Each message becomes one command with an id of its own. Its life is recorded in the event log: requested, sent,
 * delivered (the broker has it), and then confirmed, failed or expired. A command is confirmed when the device says so
 * on the confirmation topic; without an answer in time it is sent again. After its time to live it is never sent: a
 * valve that was to be opened an hour ago stays shut. Commands survive a restart, and a replay never gives one.
 * 
 * The first output gives messages whose command was confirmed, the second those whose command failed or expired, both
 * with the evidence in `msg.command`.
 */
export interface ActuatorConfig {
/**
 * Connection to the broker that the device is on.
 */
broker?: string
/**
 * Topic on which the device takes commands. `{{topic}}` and `{{payload.x}}` insert what the message holds.
 */
topic?: string
/**
 * What is sent. As a template, `{{command}}` inserts the id of the command, for devices that send it back.
 */
payload?: string
/**
 * Kind of the value above.
 */
payloadType?: string
/**
 * Topic on which the device answers; empty when it does not, which makes "the broker has it" the only evidence.
 */
confirmTopic?: string
/**
 * Answer that confirms the command; empty means what was sent. An object confirms when all its keys are in the
 * answer with the same values. An answer that holds the command's id as `command` confirms it in any case.
 */
confirmPayload?: string
/**
 * Seconds to wait for the answer.
 */
timeout?: (number | string | null)
/**
 * How often it is sent again when no answer comes.
 */
retries?: (number | string | null)
/**
 * Seconds after which the command must not be sent any more.
 */
ttl?: (number | string | null)
/**
 * Thing whose commands from dashboards and from the HTTP API are carried out here; empty for none.
 */
thing?: string
/**
 * Property or action of that thing; empty for all.
 */
property?: string
}
