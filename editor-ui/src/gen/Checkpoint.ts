/* Made by npm run gen: do not edit. */

/**
 * A place in the log that is kept under a name.
 */
export interface Checkpoint {
name: string
/**
 * Everything up to here is dealt with.
 */
position: number
/**
 * How many positions that is behind the head of the log.
 */
lag: number
}
