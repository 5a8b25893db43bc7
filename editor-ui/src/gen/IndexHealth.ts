/* Made by npm run gen: do not edit. */

/**
 * How the index is.
 */
export interface IndexHealth {
/**
 * What the index is at.
 */
state: ("opening" | "rebuilding" | "ready" | "failed")
/**
 * From 0 to 1, while it is rebuilt.
 */
progress?: (number | null)
/**
 * Why it failed.
 */
reason?: (string | null)
/**
 * How many events are not in it yet.
 */
lag: number
}
