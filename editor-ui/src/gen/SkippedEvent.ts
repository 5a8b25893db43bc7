/* Made by npm run gen: do not edit. */

/**
 * A decision to leave a parked event out.
 */
export interface SkippedEvent {
by: string
reason: string
/**
 * Milliseconds since 1970.
 */
time: number
}
