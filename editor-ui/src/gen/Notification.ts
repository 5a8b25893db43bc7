/* Made by npm run gen: do not edit. */

/**
 * A notification and what became of it.
 */
export interface Notification {
id: string
/**
 * `requested`, `sent`, `deferred` or `failed`.
 */
state: string
/**
 * Milliseconds since 1970.
 */
time: number
/**
 * Data of the request and of what followed, merged.
 */
data: {
[k: string]: unknown
}
events: unknown[]
}
