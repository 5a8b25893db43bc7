/* Made by npm run gen: do not edit. */

/**
 * One page of a list.
 */
export interface List10 {
items: {
name: string
/**
 * Events up to here have taken effect.
 */
position: number
/**
 * How many events it is behind.
 */
lag: number
/**
 * Events that could not be applied.
 */
parked: number
/**
 * Progress from 0 to 1 while it is built anew.
 */
building?: (number | null)
}[]
/**
 * Give it back as `cursor` to get the next page; null at the end.
 */
next?: (string | null)
}
