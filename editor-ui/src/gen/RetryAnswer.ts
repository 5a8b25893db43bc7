/* Made by npm run gen: do not edit. */

/**
 * What was sent again.
 */
export interface RetryAnswer {
retried: number
/**
 * Letters whose message was not kept.
 */
not_kept: number
/**
 * There are more: ask again.
 */
more: boolean
}
