/* Made by npm run gen: do not edit. */

/**
 * Flows to be looked at without deploying them.
 */
export interface CheckRequest {
flows: unknown
}
