/* Made by npm run gen: do not edit. */

/**
 * One page of a list.
 */
export interface List10 {
items: {
position: number
/**
 * Why it was put aside.
 */
reason: string
/**
 * How often it was handed out.
 */
deliveries: number
/**
 * When, milliseconds since 1970.
 */
time: number
/**
 * By whom.
 */
by: string
/**
 * The event, unless it is gone.
 */
event?: {
[k: string]: unknown
}
}[]
/**
 * Give it back as `cursor` to get the next page; null at the end.
 */
next?: (string | null)
}
