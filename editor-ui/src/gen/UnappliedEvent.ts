/* Made by npm run gen: do not edit. */

/**
 * An event that a read model could not apply.
 */
export interface UnappliedEvent {
position: number
/**
 * Id of the event.
 */
event: string
/**
 * Why it could not be applied.
 */
reason: string
/**
 * Who said that it is to be left out, why and when.
 */
skipped?: ({
by: string
reason: string
/**
 * Milliseconds since 1970.
 */
time: number
} | null)
}
