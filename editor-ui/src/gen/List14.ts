/* Made by npm run gen: do not edit. */

/**
 * One page of a list.
 */
export interface List14 {
items: {
/**
 * Its stream without `thing-`.
 */
id: string
name: string
/**
 * By name: `{"value","time","unit"?}`.
 */
properties: {
[k: string]: unknown
}
/**
 * Milliseconds since 1970.
 */
lastSeen: number
/**
 * How many events there are of it.
 */
events: number
/**
 * Position of the last of them.
 */
position: number
}[]
/**
 * Give it back as `cursor` to get the next page; null at the end.
 */
next?: (string | null)
}
