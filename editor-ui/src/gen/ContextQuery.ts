/* Made by npm run gen: do not edit. */

export interface ContextQuery {
/**
 * Name of a store; without it the default one, for lists all.
 */
store?: (string | null)
/**
 * Only names and forms, no values.
 */
keysOnly?: (string | null)
}
