/* Made by npm run gen: do not edit. */

/**
 * Which events that were put aside.
 */
export interface Unpark {
/**
 * Their positions; all when there are none.
 */
positions?: (number[] | null)
/**
 * Why they are dropped.
 */
reason?: (string | null)
}
