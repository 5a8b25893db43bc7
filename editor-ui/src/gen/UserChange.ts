/* Made by npm run gen: do not edit. */

/**
 * What of a user changes.
 */
export interface UserChange {
role?: (("viewer" | "operator" | "editor" | "admin") | null)
password?: (string | null)
}
