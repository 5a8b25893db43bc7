/* Made by npm run gen: do not edit. */

/**
 * Events to be tried on schemas; nothing is stored.
 */
export interface TrySchemas {
/**
 * CloudEvents in structured mode.
 */
events?: unknown[]
/**
 * As if one more version of a type were registered, such as `reading-reported/3`.
 */
with?: (string | null)
/**
 * The JSON Schema of that version.
 */
schema?: {
[k: string]: unknown
}
/**
 * The script of that version.
 */
upcast?: (string | null)
}
