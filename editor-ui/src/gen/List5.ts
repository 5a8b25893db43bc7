/* Made by npm run gen: do not edit. */

/**
 * One page of a list.
 */
export interface List5 {
items: {
/**
 * `sse`, `socket`, `checkpoint` or `group`.
 */
kind: string
/**
 * Number of the connection, or name of the checkpoint or group.
 */
name: string
/**
 * Who it is, where that is known.
 */
actor?: (string | null)
/**
 * Which events.
 */
filter?: {
[k: string]: unknown
}
/**
 * Everything up to here is dealt with.
 */
position: number
/**
 * How many positions it is behind the head of the log.
 */
lag: number
/**
 * Events that were sent and are not acknowledged.
 */
under_way?: (number | null)
/**
 * Since when, milliseconds since 1970.
 */
since?: (number | null)
/**
 * On how many events its condition failed; they were left out.
 */
filter_failures?: ({
/**
 * On how many events it failed.
 */
count: number
/**
 * The last reason.
 */
last: string
} | null)
}[]
/**
 * Give it back as `cursor` to get the next page; null at the end.
 */
next?: (string | null)
}
