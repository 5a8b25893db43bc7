/* Made by npm run gen: do not edit. */

/**
 * What went wrong with a condition on events.
 */
export interface FilterFailures {
/**
 * On how many events it failed.
 */
count: number
/**
 * The last reason.
 */
last: string
}
