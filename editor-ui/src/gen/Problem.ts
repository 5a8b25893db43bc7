/* Made by npm run gen: do not edit. */

/**
 * A finding in input. `path` is a JSON pointer into the node's configuration (empty: the node as a whole).
 */
export interface Problem {
/**
 * Id of the node concerned; empty when the document as a whole is meant.
 */
node: string
/**
 * JSON pointer to the property.
 */
path: string
/**
 * What is wrong and how to mend it, for a person.
 */
text: string
/**
 * How much a [`Problem`] matters.
 */
severity: ("error" | "warning")
}
