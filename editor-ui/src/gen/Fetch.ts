/* Made by npm run gen: do not edit. */

/**
 * A member asks for events.
 */
export interface Fetch {
/**
 * The name of the member; each has its own.
 */
member: string
/**
 * How many events at most.
 */
max?: number
/**
 * How long to wait when there are none, in milliseconds, at most 30,000.
 */
wait_ms?: number
}
