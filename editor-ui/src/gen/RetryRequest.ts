/* Made by npm run gen: do not edit. */

/**
 * Sends all dead letters of a node again that were not yet.
 */
export interface RetryRequest {
/**
 * Id of the node.
 */
node: string
}
