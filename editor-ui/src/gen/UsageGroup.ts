/* Made by npm run gen: do not edit. */

/**
 * The events of one type in one category.
 */
export interface UsageGroup {
/**
 * The category.
 */
category: string
/**
 * The event type.
 */
eventType: string
/**
 * How many events.
 */
events: number
/**
 * How many bytes, uncompressed.
 */
bytes: number
}
