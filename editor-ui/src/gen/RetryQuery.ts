/* Made by npm run gen: do not edit. */

/**
 * How to send a dead letter again.
 */
export interface RetryQuery {
/**
 * `true`: also one that was sent again before.
 */
again?: boolean
}
