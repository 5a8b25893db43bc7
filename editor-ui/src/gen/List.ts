/* Made by npm run gen: do not edit. */

/**
 * One page of a list.
 */
export interface List {
items: {
name: string
/**
 * What a user may do.
 */
role: ("viewer" | "operator" | "editor" | "admin")
/**
 * Milliseconds since 1970.
 */
created: number
}[]
/**
 * Give it back as `cursor` to get the next page; null at the end.
 */
next?: (string | null)
}
