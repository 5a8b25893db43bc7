/* Made by npm run gen: do not edit. */

/**
 * What became of the answers.
 */
export interface Settled {
settled: number[]
/**
 * The member did not hold these any more; another one may have got them.
 */
lost: number[]
}
