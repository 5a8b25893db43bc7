/* Made by npm run gen: do not edit. */

/**
 * What a scrub found.
 */
export interface Scrubbed {
/**
 * When it ended, in milliseconds since 1970.
 */
ended: number
events: number
/**
 * Bytes of records, uncompressed.
 */
bytes: number
/**
 * How many places are damaged.
 */
damaged: number
/**
 * What is wrong there, and which events that hits; at most 100.
 */
problems: string[]
}
