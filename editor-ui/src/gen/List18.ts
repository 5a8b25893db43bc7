/* Made by npm run gen: do not edit. */

/**
 * One page of a list.
 */
export interface List18 {
items: {
id: string
folder: string
/**
 * How far a backup is.
 */
state: ("running" | "done" | "failed" | "cancelled")
/**
 * When it was begun, in milliseconds since 1970.
 */
started: number
/**
 * Bytes copied so far.
 */
doneBytes: number
/**
 * Bytes to be copied, as far as is known.
 */
totalBytes: number
/**
 * The last position in it.
 */
position?: (number | null)
/**
 * How many files it holds.
 */
files?: (number | null)
/**
 * How many of them were copied; the others were there.
 */
copiedFiles?: (number | null)
/**
 * Files of the log that were damaged before.
 */
problems?: string[]
/**
 * The file with the keys, if one was asked for.
 */
keys?: ({
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
} | null)
error?: (string | null)
}[]
/**
 * Give it back as `cursor` to get the next page; null at the end.
 */
next?: (string | null)
}
