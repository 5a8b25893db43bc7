/* Made by npm run gen: do not edit. */

/**
 * Sends on the messages that other nodes are done with.
 * 
 * Useful after nodes without an output: a message comes out when the node has sent, stored or shown it.
 * `msg.complete.source` says which node it was. Switch nodes do not tell when they are done.
 */
export interface CompleteConfig {
/**
 * Nodes whose work is followed.
 */
scope?: (null | string | string[])
}
