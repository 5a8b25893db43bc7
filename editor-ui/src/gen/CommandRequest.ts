/* Made by npm run gen: do not edit. */

/**
 * A command to a thing: an action, or a property and the value it shall have.
 */
export interface CommandRequest {
action?: (string | null)
property?: (string | null)
value?: {
[k: string]: unknown
}
/**
 * Seconds after which it must not be carried out any more; 60 when absent.
 */
ttl?: (number | null)
}
