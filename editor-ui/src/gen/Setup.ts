/* Made by npm run gen: do not edit. */

/**
 * Makes the first user.
 */
export interface Setup {
/**
 * From the link that the server printed.
 */
token: string
username: string
/**
 * 12 to 256 characters.
 */
password: string
}
