/* Made by npm run gen: do not edit. */

/**
 * A wire's counters.
 */
export interface WireLive {
total: number
rate: number
dropped: number
/**
 * Share of the time in which its sender had to wait, 0 to 1.
 */
blocked: number
/**
 * Messages from this wire that wait in front of its target.
 */
queue: number
/**
 * Their size in memory.
 */
bytes: number
}
