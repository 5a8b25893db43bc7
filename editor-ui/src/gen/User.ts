/* Made by npm run gen: do not edit. */

/**
 * A user, without password.
 */
export interface User {
name: string
/**
 * What a user may do.
 */
role: ("viewer" | "operator" | "editor" | "admin")
/**
 * Milliseconds since 1970.
 */
created: number
}
