/* Made by npm run gen: do not edit. */

/**
 * A stream and its last change.
 */
export interface Stream {
name: string
/**
 * Number of events in it.
 */
version: number
/**
 * Position of the last event.
 */
position: number
/**
 * When that was recorded, milliseconds since 1970.
 */
time: number
}
