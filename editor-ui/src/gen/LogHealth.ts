/* Made by npm run gen: do not edit. */

/**
 * How the event log is.
 */
export interface LogHealth {
/**
 * Why it takes no events, if so.
 */
readOnly?: (string | null)
/**
 * How the index is.
 */
index: {
/**
 * What the index is at.
 */
state: ("opening" | "rebuilding" | "ready" | "failed")
/**
 * From 0 to 1, while it is rebuilt.
 */
progress?: (number | null)
/**
 * Why it failed.
 */
reason?: (string | null)
/**
 * How many events are not in it yet.
 */
lag: number
}
/**
 * What was found and mended when it was opened, and what was noticed since.
 */
notices: string[]
/**
 * The last position.
 */
head: number
/**
 * How the room is.
 */
room: ("normal" | "warning" | "refusing")
}
