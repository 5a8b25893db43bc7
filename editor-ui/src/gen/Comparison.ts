/* Made by npm run gen: do not edit. */

/**
 * A new build beside the one that it takes the place of.
 */
export interface Comparison {
old_position: number
new_position: number
old_keys: number
new_keys: number
/**
 * How many keys have another value, or are in one of them only.
 */
different: number
/**
 * The first of them.
 */
sample: {
key: string
/**
 * Null: there was none.
 */
old: {
[k: string]: unknown
}
new: unknown
}[]
}
