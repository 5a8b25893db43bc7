/* Made by npm run gen: do not edit. */

/**
 * Raises an alarm when a condition holds, and clears it when it no longer does.
 * 
 * A message leaves on **fired** when the alarm is raised and on **cleared** when it ends; nothing in between. So ten
 * readings above the limit make one message. What leaves is the message that decided it, with `msg.rule` =
 * `{key, state, since, value, duration}`.
 * 
 * - **For** waits until the condition has held that long without a break.
 * - **Clear** is a second condition that ends the alarm, such as below 25 where the alarm is above 30. Without it the
 *   alarm ends as soon as the condition does not hold.
 * - **Cooldown** is the least time between two alarms. A condition that still holds when it is over raises it then.
 * - **Key** tells alarms apart: each value has an alarm of its own. Empty: one alarm for all messages.
 * 
 * A message that does not have the property in question says nothing, and changes nothing.
 */
export interface RuleConfig {
/**
 * When the alarm is raised: tests of properties, joined by all (and) or any (or).
 */
conditions?: {
[k: string]: unknown
}
/**
 * Instead of the conditions, one expression over `msg`, `payload` and `topic` that is true or false, such as
 * `payload.t > 30`.
 */
expression?: string
/**
 * Seconds for which the condition must hold before the alarm is raised.
 */
for?: (number | string | null)
/**
 * When the alarm ends, if not simply when the condition does not hold.
 */
clear?: {
[k: string]: unknown
}
/**
 * Least number of seconds between two alarms.
 */
cooldown?: (number | string | null)
/**
 * What tells alarms apart, as a template over the message.
 */
key?: string
}
