/* Made by npm run gen: do not edit. */

/**
 * One page of a list.
 */
export interface List4 {
items: {
name: string
/**
 * Number of events in it.
 */
version: number
/**
 * Position of the last event.
 */
position: number
/**
 * When that was recorded, milliseconds since 1970.
 */
time: number
}[]
/**
 * Give it back as `cursor` to get the next page; null at the end.
 */
next?: (string | null)
}
