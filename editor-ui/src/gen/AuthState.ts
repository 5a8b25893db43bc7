/* Made by npm run gen: do not edit. */

/**
 * Whether access control is on.
 */
export type AuthState = ("on" | "off")
