/* Made by npm run gen: do not edit. */

/**
 * The node a message failed at, as it was then.
 */
export interface LetterNode {
id: string
type: string
name: string
flow: string
}
