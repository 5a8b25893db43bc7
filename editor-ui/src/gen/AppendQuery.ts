/* Made by npm run gen: do not edit. */

/**
 * How events are appended.
 */
export interface AppendQuery {
/**
 * `true` (default): all events of the request, whatever their streams, are stored or none. `false`: each for itself; the
 * answer says which were not, and why.
 */
atomic?: (boolean | null)
}
