/* Made by npm run gen: do not edit. */

/**
 * A token to be given up.
 */
export interface RevokeToken {
token: string
}
