/* Made by npm run gen: do not edit. */

/**
 * A file with keys. Whoever has it can read what they protect.
 */
export interface BackedUpKeys {
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
}
