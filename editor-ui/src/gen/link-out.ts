/* Made by npm run gen: do not edit. */

/**
 * Sends messages on to link in nodes, on any flow, as if they were wired; or back to the link call node they are for.
 */
export interface LinkOutConfig {
/**
 * What happens with messages.
 */
mode?: ("link" | "return" | string)
/**
 * Link in nodes to send to. Either end may name the other.
 */
links?: (null | string | string[])
}
