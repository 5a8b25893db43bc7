/* Made by npm run gen: do not edit. */

/**
 * The user of a session.
 */
export interface SessionUser {
name: string
/**
 * What a user may do.
 */
role: ("viewer" | "operator" | "editor" | "admin")
}
