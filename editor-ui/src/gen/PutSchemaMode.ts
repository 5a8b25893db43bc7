/* Made by npm run gen: do not edit. */

/**
 * What happens to data that does not follow its schema, from now on.
 */
export interface PutSchemaMode {
/**
 * What happens to data that does not follow its schema.
 */
mode: ("off" | "warn" | "refuse")
}
