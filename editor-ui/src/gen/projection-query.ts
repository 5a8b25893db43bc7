/* Made by npm run gen: do not edit. */

/**
 * Reads a value from a read model that a projector keeps.
 * 
 * The value goes into `msg.payload`, and `msg.found` says whether there is one; without one the payload is null.
 * `msg.entry` has the key, the position of the event that changed it last, and its time. With an empty key, the payload is
 * a list of entries: those for which the *filter* holds, in order of *sort*, at most *limit* (10,000).
 * 
 * With *at*, the answer is the value, or the list, as it was at that time (`2026-03-14T15:09:00Z`, or milliseconds since 1970) or after
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
/**
 * Of a list: which entries, such as `value.temperature>21 and key=thing-*`; may contain `{{…}}`. With `=`, `!=`, `<`, `<=`,
 * `>` and `>=`; what is compared is `key`, `time`, `position` or a path into the `value`.
 */
filter?: string
/**
 * Of a list: what it is ordered by, such as `value.temperature`; `-value.temperature` begins with the largest. Empty: the
 * key.
 */
sort?: string
/**
 * Of a list: how many entries at most. Empty: 10,000.
 */
limit?: (string | number | boolean | null)
}
