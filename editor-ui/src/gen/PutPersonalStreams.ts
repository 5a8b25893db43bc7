/* Made by npm run gen: do not edit. */

/**
 * Which streams hold personal data from now on. What is stored already stays as it is.
 */
export interface PutPersonalStreams {
/**
 * Patterns of names; `*` stands for any run of characters.
 */
streams: string[]
}
