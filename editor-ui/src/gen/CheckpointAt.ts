/* Made by npm run gen: do not edit. */

/**
 * Where a checkpoint is to stand.
 */
export interface CheckpointAt {
/**
 * Who goes on there begins with the event after it; 0 is the beginning.
 */
position: number
}
