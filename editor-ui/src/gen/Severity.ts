/* Made by npm run gen: do not edit. */

/**
 * How much a [`Problem`] matters.
 */
export type Severity = ("error" | "warning")
