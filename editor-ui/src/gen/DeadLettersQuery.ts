/* Made by npm run gen: do not edit. */

/**
 * Which dead letters.
 */
export interface DeadLettersQuery {
/**
 * Only those of this node.
 */
node?: (string | null)
/**
 * How many items at most.
 */
limit?: (number | null)
/**
 * `next` of the page before.
 */
cursor?: (string | null)
}
