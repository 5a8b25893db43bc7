/* Made by npm run gen: do not edit. */

/**
 * One entry of a read model.
 */
export interface ProjectionEntry {
key: string
value: unknown
/**
 * The event that changed it last.
 */
position: number
/**
 * Time of that event, milliseconds since 1970.
 */
time: number
}
