/* Made by npm run gen: do not edit. */

/**
 * An entry that is not the same in both.
 */
export interface Difference {
key: string
/**
 * Null: there was none.
 */
old: {
[k: string]: unknown
}
new: unknown
}
