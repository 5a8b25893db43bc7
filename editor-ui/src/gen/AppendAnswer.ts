/* Made by npm run gen: do not edit. */

/**
 * Where events were stored.
 */
export interface AppendAnswer {
/**
 * Position of the first event; 0 when the batch was empty.
 */
position: number
items: {
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
}[]
}
