/* Made by npm run gen: do not edit. */

/**
 * A node's counters.
 */
export interface NodeLive {
in: number
out: number[]
/**
 * Messages per second, in and out.
 */
rate: number
errors: number
/**
 * Messages that wait in front of it.
 */
queue: number
/**
 * Their size in memory.
 */
bytes: number
/**
 * Share of the time in which it worked, 0 to 1.
 */
busy: number
last?: ({
value: unknown
topic?: (string | null)
/**
 * Milliseconds since 1970.
 */
time: number
} | null)
/**
 * Recent numeric values, oldest first.
 */
ring?: (number[] | null)
}
