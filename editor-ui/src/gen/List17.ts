/* Made by npm run gen: do not edit. */

/**
 * One page of a list.
 */
export interface List17 {
items: {
/**
 * Id of its event.
 */
id: string
position: number
/**
 * When it failed, in milliseconds since 1970.
 */
time: number
/**
 * The node a message failed at, as it was then.
 */
node: {
id: string
type: string
name: string
flow: string
}
/**
 * `failed`, or `removed`: the node was gone before it got to the message.
 */
reason: string
/**
 * What went wrong.
 */
error: string
/**
 * Stable word for programs.
 */
code?: (string | null)
/**
 * The message; of a large one only the beginning of its JSON text.
 */
message: {
[k: string]: unknown
}
/**
 * Length of the JSON text of which `message` is the beginning, in bytes.
 */
cut?: (number | null)
hops: number
/**
 * Number of the deploy in force.
 */
revision: number
/**
 * Further messages that failed at the node since its last letter and were not kept.
 */
suppressed: number
/**
 * The message was kept in full, so that it can be sent again.
 */
kept: boolean
/**
 * When it was sent again, in milliseconds since 1970.
 */
retried?: (number | null)
}[]
/**
 * Give it back as `cursor` to get the next page; null at the end.
 */
next?: (string | null)
}
