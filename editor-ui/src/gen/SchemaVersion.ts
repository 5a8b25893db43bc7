/* Made by npm run gen: do not edit. */

/**
 * One version of an event type.
 */
export interface SchemaVersion {
/**
 * The JSON Schema that data follows.
 */
schema?: {
[k: string]: unknown
}
/**
 * A rhai script with `fn upcast(data, event)` that makes data of this version from that of the one before.
 */
upcast?: (string | null)
/**
 * Position of the event that registered it.
 */
position: number
}
