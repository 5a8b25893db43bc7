/* Made by npm run gen: do not edit. */

/**
 * Registers a version of an event type.
 */
export interface PutSchema {
/**
 * The JSON Schema that data follows; none: any data.
 */
schema?: {
[k: string]: unknown
}
/**
 * A rhai script with `fn upcast(data, event)` that makes data of this version from that of the one before.
 */
upcast?: (string | null)
}
