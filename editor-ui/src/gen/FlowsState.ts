/* Made by npm run gen: do not edit. */

/**
 * Whether flows run: `start`, `stop` or `safe`.
 */
export interface FlowsState {
state: string
}
