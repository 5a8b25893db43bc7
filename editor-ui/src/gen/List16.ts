/* Made by npm run gen: do not edit. */

/**
 * One page of a list.
 */
export interface List16 {
items: {
rev: string
/**
 * From 1, without gaps.
 */
number: number
/**
 * `full`, `flows`, `nodes` or `reload`.
 */
kind: string
author: string
/**
 * Milliseconds since 1970.
 */
time: number
/**
 * Place of its event in the log.
 */
position: number
/**
 * Revision of the earlier deploy whose flows these are.
 */
restored?: (string | null)
/**
 * How many nodes a deploy changed, and in what way.
 */
changes: {
added: number
removed: number
changed: number
rewired: number
moved: number
}
/**
 * Only when one deploy is asked for.
 */
diff?: ({
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
} | null)
/**
 * Only when one deploy is asked for.
 */
flows?: {
[k: string]: unknown
}
}[]
/**
 * Give it back as `cursor` to get the next page; null at the end.
 */
next?: (string | null)
}
