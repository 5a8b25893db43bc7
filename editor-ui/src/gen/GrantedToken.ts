/* Made by npm run gen: do not edit. */

/**
 * What Node-RED's password grant answers.
 */
export interface GrantedToken {
access_token: string
/**
 * Seconds.
 */
expires_in: number
token_type: string
}
