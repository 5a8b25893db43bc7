/* Made by npm run gen: do not edit. */

/**
 * One page of a list.
 */
export interface List15 {
items: {
id: string
/**
 * `requested`, `sent`, `deferred` or `failed`.
 */
state: string
/**
 * Milliseconds since 1970.
 */
time: number
/**
 * Data of the request and of what followed, merged.
 */
data: {
[k: string]: unknown
}
events: unknown[]
}[]
/**
 * Give it back as `cursor` to get the next page; null at the end.
 */
next?: (string | null)
}
