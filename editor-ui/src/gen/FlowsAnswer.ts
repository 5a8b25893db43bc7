/* Made by npm run gen: do not edit. */

/**
 * The flows with their revision (`Node-RED-API-Version: v2`).
 */
export interface FlowsAnswer {
flows: unknown
rev: string
}
