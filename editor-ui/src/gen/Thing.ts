/* Made by npm run gen: do not edit. */

/**
 * A thing with its last known values.
 */
export interface Thing {
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
}
