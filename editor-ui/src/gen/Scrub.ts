/* Made by npm run gen: do not edit. */

/**
 * The scrub of the log: how far the one under way is, and what the last one found.
 */
export interface Scrub {
/**
 * Whether one is under way.
 */
running: boolean
/**
 * Bytes of the journal that it has read.
 */
doneBytes: number
/**
 * Bytes that it reads; 0 when none is under way.
 */
totalBytes: number
/**
 * What the last one found.
 */
last?: ({
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
} | null)
}
