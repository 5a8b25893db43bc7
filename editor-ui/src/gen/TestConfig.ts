/* Made by npm run gen: do not edit. */

export interface TestConfig {
/**
 * Environment variables; null takes one away.
 */
env?: {
[k: string]: (string | null)
}
/**
 * Settings that nodes ask for; null takes one away.
 */
settings?: {
[k: string]: unknown
}
/**
 * Stores to open afresh, `{"name": {"module": "memory"}}`; null: those of the start.
 */
contextStorage?: ({
[k: string]: unknown
} | null)
/**
 * Forget all context.
 */
resetContext?: boolean
/**
 * Put the clock of the event log ahead of the machine's by so many milliseconds.
 */
logAheadMs?: (number | null)
}
