/* Made by npm run gen: do not edit. */

/**
 * Which nodes to tap.
 */
export interface TapQuery {
/**
 * Ids, separated by commas; they need not exist yet.
 */
nodes?: string
}
