/* Made by npm run gen: do not edit. */

/**
 * What was, or would be, dropped.
 */
export interface Compacted {
/**
 * By policy.
 */
policies: {
/**
 * Which policy.
 */
policy: string
/**
 * How many events.
 */
events: number
/**
 * How many bytes they take, uncompressed.
 */
bytes: number
/**
 * The first of them.
 */
firstPosition: number
/**
 * The last of them.
 */
lastPosition: number
}[]
/**
 * Bytes of superseded state that go with them, uncompressed.
 */
stateBytes: number
/**
 * How many archives are rewritten.
 */
archives: number
/**
 * How many bytes less the archives take; 0 when nothing was done.
 */
freedBytes: number
/**
 * Who keeps further events from being dropped, with the first position that is needed.
 */
heldBy: {
/**
 * Who, such as `checkpoint alarms`.
 */
by: string
/**
 * The first position that is needed.
 */
from: number
}[]
}
