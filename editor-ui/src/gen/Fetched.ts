/* Made by npm run gen: do not edit. */

/**
 * Events that a member holds until it answers, or until the lease ends.
 */
export interface Fetched {
items: {
event: unknown
/**
 * How often it was handed out, this time included.
 */
delivery: number
}[]
/**
 * How long it may hold them, in milliseconds.
 */
lease_ms: number
}
