/* Made by npm run gen: do not edit. */

export type AllRules = "true"
export type FirstMatch = "false"

/**
 * Sends each message to the outputs whose rule it meets.
 * 
 * Each rule has an output of its own, in order. Comparisons are JavaScript's loose ones: the text `"30"` equals the
 * number 30. `otherwise` is met when no rule before it was. With **first match** the later rules are not looked at.
 * A property that is missing counts as undefined.
 * 
 * The rules `head`, `index` and `tail` look at the place of a message in its sequence (`msg.parts`). With `tail`, and
 * when sequences are numbered anew, messages wait until their sequence is complete; they are kept through restarts.
 */
export interface SwitchConfig {
/**
 * What is looked at.
 */
property?: string
/**
 * Type of the property: `msg`, `flow`, `global` or `env`.
 */
propertyType?: string
/**
 * The rules; each has an output.
 */
rules?: {
/**
 * The comparison: eq neq lt lte gt gte btwn cont regex hask true false null nnull empty nempty istype head tail
 * index, or else.
 */
t?: (string | number | boolean | null)
/**
 * What is compared with.
 */
v?: {
[k: string]: unknown
}
/**
 * Its type: str, num, msg, flow, global, env, bool, json or prev (the value of the message before).
 */
vt?: (string | null)
/**
 * The second bound of `btwn` and `index`.
 */
v2?: {
[k: string]: unknown
}
/**
 * Its type.
 */
v2t?: (string | null)
/**
 * `regex` ignores upper and lower case.
 */
case?: (boolean | string | number | null)
}[]
/**
 * Whether the rules after one that is met are looked at.
 */
checkall?: (AllRules | FirstMatch | (boolean | string | number | null))
/**
 * Number the messages of a sequence anew at each output.
 */
repair?: (boolean | string | number | null)
/**
 * Number of outputs: that of the rules.
 */
outputs?: (number | string | null)
/**
 * When the source of a message that waits hears that it is in good hands.
 */
ack?: ("accept" | "through")
}
