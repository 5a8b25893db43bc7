/* Made by npm run gen: do not edit. */

/**
 * Reads a value from a read model that a projector keeps.
 * 
 * The value goes into `msg.payload`, and `msg.found` says whether there is one; without one the payload is null.
 * `msg.entry` has the key, the position of the event that changed it last, and its time. With an empty key, the payload is
 * the list of all entries.
 * 
 * With *at*, the answer is the value as it was at that time (`2026-03-14T15:09:00Z`, or milliseconds since 1970) or after
 * the event at that position (a smaller number).
 */
export interface ProjectionQueryConfig {
/**
 * Name of the read model; may contain `{{…}}`. Empty: `msg.projection`.
 */
projection?: string
/**
 * Which entry, such as `{{topic}}`. Empty: all.
 */
key?: string
/**
 * A time or a position in the past; may contain `{{…}}`. Empty: now.
 */
at?: (string | number | boolean | null)
}
