/* Made by npm run gen: do not edit. */

/**
 * Which entries of a read model, and when.
 */
export interface EntriesQuery {
/**
 * Conditions on `key`, `time`, `position` or `value.path` with `=`, `!=`, `<`, `<=`, `>`, `>=`, joined by ` and `:
 * `value.celsius>21 and key=thing-*`. With `=` and `!=`, `*` stands for any run of characters.
 */
filter?: (string | null)
/**
 * `key`, `time`, `position` or `value.path`; with `-` in front from the end.
 */
sort?: (string | null)
limit?: (number | null)
cursor?: (string | null)
/**
 * As it was: a position, or a time (RFC 3339, or milliseconds since 1970).
 */
at?: (string | null)
/**
 * Wait until this position has taken effect.
 */
min_position?: (number | null)
}
