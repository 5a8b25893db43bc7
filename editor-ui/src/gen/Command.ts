/* Made by npm run gen: do not edit. */

/**
 * A command and what is known of it.
 */
export interface Command {
id: string
/**
 * `requested`, `sent`, `delivered`, `confirmed`, `failed` or `expired`.
 */
state: string
events: unknown[]
}
