/* Made by npm run gen: do not edit. */

/**
 * A node type as palette and forms need it.
 */
export interface NodeTypeInfo {
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
}
