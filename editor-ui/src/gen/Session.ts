/* Made by npm run gen: do not edit. */

/**
 * Who is asking.
 */
export interface Session {
/**
 * Whether access control is on.
 */
auth: ("on" | "off")
/**
 * The first user has yet to be made, with the link that the server printed.
 */
setup: boolean
user?: ({
name: string
/**
 * What a user may do.
 */
role: ("viewer" | "operator" | "editor" | "admin")
} | null)
}
