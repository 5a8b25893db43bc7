/* Made by npm run gen: do not edit. */

/**
 * Environment variables that every flow sees.
 * 
 * A node that asks for a variable finds that of its group or flow first, then one from here, then one of the process.
 */
export interface GlobalConfigConfig {
/**
 * The variables: a list of `name`, `value` and `type` (str, num, bool, json, env, and so on).
 */
env?: {
name?: string
value?: {
[k: string]: unknown
}
type?: string
}[]
/**
 * Modules of function nodes; kept for Node-RED.
 */
modules?: {
[k: string]: unknown
}
}
