/* Made by npm run gen: do not edit. */

/**
 * A node set as Node-RED's tools list it.
 */
export interface NodeSet {
id: string
name: string
types: string[]
enabled: boolean
local: boolean
user: boolean
module: string
version: string
}
