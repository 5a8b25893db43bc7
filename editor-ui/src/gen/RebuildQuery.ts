/* Made by npm run gen: do not edit. */

/**
 * How a read model is built anew.
 */
export interface RebuildQuery {
/**
 * `auto` (default): the new build takes its place when it is complete; `manual`: when that is asked for.
 */
swap?: (string | null)
}
