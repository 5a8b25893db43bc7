/* Made by npm run gen: do not edit. */

/**
 * Sends a message whenever the status of another node changes.
 * 
 * `msg.status` holds its `text`, `fill` and `shape`, and `source` says which node it is.
 */
export interface StatusConfig {
/**
 * Nodes whose status is followed.
 */
scope?: (null | string | string[])
}
