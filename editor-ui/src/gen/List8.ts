/* Made by npm run gen: do not edit. */

/**
 * One page of a list.
 */
export interface List8 {
items: {
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
}[]
/**
 * Give it back as `cursor` to get the next page; null at the end.
 */
next?: (string | null)
}
