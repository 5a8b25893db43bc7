/* Made by npm run gen: do not edit. */

/**
 * Why an event was not stored.
 */
export interface Refused {
code: string
detail: string
}
