/* Made by npm run gen: do not edit. */

/**
 * A user to be made.
 */
export interface NewUser {
name: string
/**
 * What a user may do.
 */
role: ("viewer" | "operator" | "editor" | "admin")
/**
 * 12 to 256 characters.
 */
password: string
}
