/* Made by npm run gen: do not edit. */

/**
 * Node-RED's password grant.
 */
export interface TokenGrant {
grant_type?: string
username?: string
password?: string
}
