/* Made by npm run gen: do not edit. */

/**
 * One frame of `/api/live`: only what changed since the frame before.
 */
export interface Frame {
/**
 * Milliseconds since 1970.
 */
time: number
position?: (number | null)
rev?: (string | null)
eventsPerSecond?: (number | null)
nodes: {
/**
 * A node's counters.
 */
[k: string]: {
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
}
/**
 * By `<from>:<port>:<to>`.
 */
wires: {
/**
 * A wire's counters.
 */
[k: string]: {
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
}
status: {
[k: string]: unknown
}
problems: {
[k: string]: (string | null)
}
debug: unknown[]
events: unknown[]
}
