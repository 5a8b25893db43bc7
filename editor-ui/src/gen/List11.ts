/* Made by npm run gen: do not edit. */

/**
 * One page of a list.
 */
export interface List11 {
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
 * How many keys it has.
 */
keys: number
/**
 * Progress from 0 to 1 while it is built anew.
 */
building?: (number | null)
/**
 * Events per second at which it is built.
 */
build_rate?: (number | null)
/**
 * Seconds until the build is done, as far as is known.
 */
build_eta?: (number | null)
/**
 * The new build is complete and waits to be swapped in.
 */
ready: boolean
/**
 * Why it stands still, if it does.
 */
failed?: (string | null)
/**
 * Whether a node keeps it up to date.
 */
kept: boolean
}[]
/**
 * Give it back as `cursor` to get the next page; null at the end.
 */
next?: (string | null)
}
