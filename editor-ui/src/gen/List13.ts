/* Made by npm run gen: do not edit. */

/**
 * One page of a list.
 */
export interface List13 {
items: {
position: number
/**
 * Id of the event.
 */
event: string
/**
 * Why it could not be applied.
 */
reason: string
/**
 * Who said that it is to be left out, why and when.
 */
skipped?: ({
by: string
reason: string
/**
 * Milliseconds since 1970.
 */
time: number
} | null)
}[]
/**
 * Give it back as `cursor` to get the next page; null at the end.
 */
next?: (string | null)
}
