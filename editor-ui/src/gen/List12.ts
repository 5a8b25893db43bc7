/* Made by npm run gen: do not edit. */

/**
 * One page of a list.
 */
export interface List12 {
items: {
key: string
value: unknown
/**
 * The event that changed it last.
 */
position: number
/**
 * Time of that event, milliseconds since 1970.
 */
time: number
}[]
/**
 * Give it back as `cursor` to get the next page; null at the end.
 */
next?: (string | null)
}
