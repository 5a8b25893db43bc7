/* Made by npm run gen: do not edit. */

/**
 * Difference of two flow documents. Every node of either document is in exactly one list, or untouched.
 */
export interface FlowDiff {
added: string[]
removed: string[]
/**
 * Behaves differently now: a property, its flow, its being switched off, or a config node it uses changed.
 */
changed: string[]
/**
 * Only its outgoing wires changed.
 */
rewired: string[]
/**
 * Only its looks changed: place, size, label, icon, group, documentation.
 */
moved: string[]
}
