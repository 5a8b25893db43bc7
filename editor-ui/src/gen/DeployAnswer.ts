/* Made by npm run gen: do not edit. */

/**
 * What a deploy did.
 */
export interface DeployAnswer {
rev: string
/**
 * Findings; nodes that have an error among them do not run.
 */
problems: {
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
}[]
}
