/* Made by npm run gen: do not edit. */

/**
 * An API token to be made.
 */
export interface NewToken {
name: string
/**
 * `flows:read flows:write flows:deploy events:read events:append commands:send metrics:read admin:*`
 */
scopes: string[]
/**
 * Days until it expires; 90 when absent, 3650 at most.
 */
days?: (number | null)
}
