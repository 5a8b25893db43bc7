/* Made by npm run gen: do not edit. */

/**
 * One page of a list.
 */
export interface List4 {
items: unknown[]
/**
 * Give it back as `cursor` to get the next page; null at the end.
 */
next?: (string | null)
}
