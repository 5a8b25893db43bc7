/* Made by npm run gen: do not edit. */

/**
 * Which streams.
 */
export interface StreamsQuery {
/**
 * Only names that match; `*` stands for any run of characters.
 */
pattern?: (string | null)
limit?: (number | null)
cursor?: (string | null)
}
