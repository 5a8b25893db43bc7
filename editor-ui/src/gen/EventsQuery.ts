/* Made by npm run gen: do not edit. */

/**
 * Which events.
 */
export interface EventsQuery {
/**
 * Name of a stream; `*` stands for any run of characters.
 */
stream?: (string | null)
/**
 * What stands before the first `-` of a stream's name.
 */
category?: (string | null)
/**
 * Event types, separated by commas; `*` stands for any run of characters.
 */
type?: (string | null)
/**
 * Only events after this position (with `order=desc`: before it).
 */
after?: (number | null)
/**
 * Recorded at or after: RFC 3339, or milliseconds since 1970.
 */
from?: (string | null)
/**
 * Recorded before.
 */
to?: (string | null)
/**
 * Before this position.
 */
before?: (string | null)
/**
 * Text within stream, type or data.
 */
q?: (string | null)
/**
 * `asc` (default) or `desc`.
 */
order?: (string | null)
limit?: (number | null)
cursor?: (string | null)
}
