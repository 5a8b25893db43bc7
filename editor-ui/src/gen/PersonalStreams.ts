/* Made by npm run gen: do not edit. */

/**
 * Which streams hold personal data.
 */
export interface PersonalStreams {
/**
 * Patterns of names; `*` stands for any run of characters. What is appended to these streams is encrypted.
 */
streams: string[]
/**
 * Streams that were erased and whose traces in read models are just being removed.
 */
erasing: string[]
}
