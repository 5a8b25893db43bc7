/* Made by npm run gen: do not edit. */

/**
 * Where one event was stored.
 */
export interface StoredEvent {
id?: (string | null)
stream: string
position: number
/**
 * Version of the stream after it.
 */
version: number
/**
 * It had been stored before under the same id.
 */
deduplicated: boolean
/**
 * Why it was not stored, with `atomic=false`.
 */
error?: ({
code: string
detail: string
} | null)
}
