/* Made by npm run gen: do not edit. */

/**
 * The value a node sent last, shortened.
 */
export interface LastValue {
value: unknown
topic?: (string | null)
/**
 * Milliseconds since 1970.
 */
time: number
}
