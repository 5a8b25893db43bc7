/* Made by npm run gen: do not edit. */

/**
 * What one policy drops.
 */
export interface PolicyDrop {
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
}
