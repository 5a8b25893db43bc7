/* Made by npm run gen: do not edit. */

/**
 * An event that was put aside.
 */
export interface ParkedEvent {
position: number
/**
 * Why it was put aside.
 */
reason: string
/**
 * How often it was handed out.
 */
deliveries: number
/**
 * When, milliseconds since 1970.
 */
time: number
/**
 * By whom.
 */
by: string
/**
 * The event, unless it is gone.
 */
event?: {
[k: string]: unknown
}
}
