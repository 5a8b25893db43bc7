/* Made by npm run gen: do not edit. */

/**
 * Id of a flow.
 */
export interface FlowId {
id: string
}
