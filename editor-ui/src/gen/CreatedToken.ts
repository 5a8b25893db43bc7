/* Made by npm run gen: do not edit. */

/**
 * A new token: the only time its secret is shown.
 */
export interface CreatedToken {
/**
 * `tw_<id>_<secret>`; send it as `Authorization: Bearer`.
 */
token: string
id: string
name: string
owner: string
scopes: string[]
/**
 * Milliseconds since 1970.
 */
created: number
expires: number
last_used?: (number | null)
}
