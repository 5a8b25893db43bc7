/* Made by npm run gen: do not edit. */

/**
 * Signs in.
 */
export interface Login {
username: string
password: string
}
