/* Made by npm run gen: do not edit. */

/**
 * One page of a list.
 */
export interface List3 {
items: {
type: string
label: string
category: string
/**
 * `in`, `logic`, `state`, `out` or `system`.
 */
role: string
/**
 * `pure`, `stateful`, `source`, `effect` or `config`.
 */
kind: string
icon: string
inputs: number
outputs: string[]
button: boolean
keywords: string[]
/**
 * First sentence of the help.
 */
summary: string
/**
 * Markdown.
 */
help: string
defaults: unknown
/**
 * JSON Schema; its properties are in the author's order.
 */
schema: {
[k: string]: unknown
}
}[]
/**
 * Give it back as `cursor` to get the next page; null at the end.
 */
next?: (string | null)
}
