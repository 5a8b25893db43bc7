/* Made by npm run gen: do not edit. */

/**
 * How one event is shown.
 */
export interface EventQuery {
/**
 * 1: in the form in which it was stored, not in that of the latest schema.
 */
raw?: (string | null)
/**
 * `structured` or `binary` mode of CloudEvents; plain JSON without it.
 */
mode?: (string | null)
}
