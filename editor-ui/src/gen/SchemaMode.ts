/* Made by npm run gen: do not edit. */

/**
 * What happens to data that does not follow its schema.
 */
export type SchemaMode = ("off" | "warn" | "refuse")
