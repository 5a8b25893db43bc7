/* Made by npm run gen: do not edit. */

/**
 * An API token, without its secret.
 */
export interface Token {
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
