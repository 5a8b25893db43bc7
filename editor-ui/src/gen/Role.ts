/* Made by npm run gen: do not edit. */

/**
 * What a user may do.
 */
export type Role = ("viewer" | "operator" | "editor" | "admin")
