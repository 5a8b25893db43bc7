/* Made by npm run gen: do not edit. */

/**
 * An event that a member holds.
 */
export interface Leased {
event: unknown
/**
 * How often it was handed out, this time included.
 */
delivery: number
}
