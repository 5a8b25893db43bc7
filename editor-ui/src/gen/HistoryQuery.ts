/* Made by npm run gen: do not edit. */

/**
 * Which stretch of a property's history.
 */
export interface HistoryQuery {
/**
 * Name of a numeric property; of a nested one such as `battery.percent`. Absent: the answer names those there are.
 */
property?: (string | null)
/**
 * RFC 3339, or milliseconds since 1970; a day before `to` when absent.
 */
from?: (string | null)
/**
 * Now when absent.
 */
to?: (string | null)
/**
 * Seconds of one bucket.
 */
step?: (number | null)
/**
 * How many buckets are wanted at most, when there is no `step`; 300 when absent.
 */
points?: (number | null)
/**
 * `json` or `csv`; else as the `Accept` header says.
 */
format?: (string | null)
}
