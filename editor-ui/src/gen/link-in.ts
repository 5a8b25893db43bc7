/* Made by npm run gen: do not edit. */

/**
 * Where messages come in that link out and link call nodes send, from any flow.
 */
export interface LinkInConfig {
/**
 * Link out nodes that send to it. Either end may name the other.
 */
links?: (null | string | string[])
}
