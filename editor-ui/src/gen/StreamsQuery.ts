/* Made by npm run gen: do not edit. */

/**
 * Which streams.
 */
export interface StreamsQuery {
/**
 * Only names that match; `*` stands for any run of characters.
 */
pattern?: (string | null)
/**
 * `name` (default), `position` or `time` (of the last change), or `version`; with `-` in front from the end.
 */
sort?: (string | null)
limit?: (number | null)
cursor?: (string | null)
}
