/* Made by npm run gen: do not edit. */

/**
 * What would become of an event.
 */
export interface TriedEvent {
/**
 * The schema that it would be checked against; none: any data is taken.
 */
schema?: (string | null)
/**
 * What is wrong with it, as `path: text`.
 */
problems: string[]
/**
 * Its data as it would be read if it were stored as it is; null when it is no JSON.
 */
data?: {
[k: string]: unknown
}
/**
 * Why it would be read as it is stored, and not in the latest form.
 */
upcastProblem?: (string | null)
}
