/* Made by npm run gen: do not edit. */

/**
 * One page of a list.
 */
export interface List6 {
items: {
name: string
/**
 * Everything up to here is dealt with.
 */
position: number
/**
 * How many positions that is behind the head of the log.
 */
lag: number
}[]
/**
 * Give it back as `cursor` to get the next page; null at the end.
 */
next?: (string | null)
}
