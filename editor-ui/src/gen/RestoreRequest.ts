/* Made by npm run gen: do not edit. */

/**
 * How to restore an earlier deploy.
 */
export interface RestoreRequest {
/**
 * The revision that is thought to be in force; if another one is, nothing is deployed.
 */
rev?: (string | null)
}
