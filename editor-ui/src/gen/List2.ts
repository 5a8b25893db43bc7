/* Made by npm run gen: do not edit. */

/**
 * One page of a list.
 */
export interface List2 {
items: {
id: string
name: string
owner: string
scopes: string[]
/**
 * Milliseconds since 1970.
 */
created: number
expires: number
last_used?: (number | null)
}[]
/**
 * Give it back as `cursor` to get the next page; null at the end.
 */
next?: (string | null)
}
