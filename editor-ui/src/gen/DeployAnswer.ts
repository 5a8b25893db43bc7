/* Made by npm run gen: do not edit. */

/**
 * What a deploy did.
 */
export interface DeployAnswer {
rev: string
/**
 * Number of the deploy, from 1.
 */
number: number
/**
 * Place of its event in the log.
 */
position: number
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
