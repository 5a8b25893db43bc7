/* Made by npm run gen: do not edit. */

/**
 * Why a parked event is left out.
 */
export interface SkipRequest {
reason: string
}
