/* Made by npm run gen: do not edit. */

/**
 * The schemas of one event type.
 */
export interface TypeSchemas {
type: string
/**
 * What happens to data that does not follow its schema.
 */
mode: ("off" | "warn" | "refuse")
/**
 * By number.
 */
versions: {
/**
 * One version of an event type.
 * 
 * This interface was referenced by `undefined`'s JSON-Schema definition
 * via the `patternProperty` "^\d+$".
 */
[k: string]: {
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
}
/**
 * Events that were refused since the start.
 */
refused: number
/**
 * Events that were stored though they do not follow their schema.
 */
warned: number
/**
 * What was wrong with the last one, as `path: text`.
 */
lastProblem?: (string | null)
/**
 * How often an event could not be brought into the latest form.
 */
upcastFailed: number
/**
 * Why, the last time.
 */
lastFailure?: (string | null)
}
