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
/**
 * Files with keys that were made here and have not expired.
 */
keyBackups: {
file: string
/**
 * When it was made, in milliseconds since 1970.
 */
created: number
/**
 * From when on it is not restored any more. Until then what is erased can come back from it.
 */
expires: number
/**
 * How many keys of streams it holds.
 */
keys: number
}[]
}
