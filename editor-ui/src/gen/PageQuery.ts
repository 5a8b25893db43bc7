/* Made by npm run gen: do not edit. */

/**
 * Which page of a list.
 */
export interface PageQuery {
/**
 * How many items at most.
 */
limit?: (number | null)
/**
 * `next` of the page before.
 */
cursor?: (string | null)
}
