/* Made by npm run gen: do not edit. */

/**
 * Sends a message to a link in node and sends on what comes back.
 * 
 * The nodes behind that link in node work on the message; a link out node that returns ends the call. Calls may be
 * nested, and many may be under way at once. A call that nobody answers in time is an error that a catch node can take;
 * an answer that comes later is still sent on.
 */
export interface LinkCallConfig {
/**
 * How the link in node is chosen.
 */
linkType?: ("static" | "dynamic")
/**
 * Link in node to call.
 */
links?: (null | string | string[])
/**
 * Seconds to wait for an answer.
 */
timeout?: (number | string | null)
}
