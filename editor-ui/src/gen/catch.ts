/* Made by npm run gen: do not edit. */

/**
 * Sends on the messages that other nodes failed on.
 * 
 * A node that cannot deal with a message reports an error. Each catch node of the same flow that covers the node gets
 * the message, with `msg.error` telling what went wrong (`message`) and where (`source`). An error that nobody catches
 * is shown at the node and kept with the dead letters.
 */
export interface CatchConfig {
/**
 * Nodes whose errors are caught.
 */
scope?: (null | string | string[])
/**
 * Only errors that no other catch node takes.
 */
uncaught?: (boolean | string | number | null)
}
