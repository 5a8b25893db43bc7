/* Made by npm run gen: do not edit. */

/**
 * How many nodes a deploy changed, and in what way.
 */
export interface Changes {
added: number
removed: number
changed: number
rewired: number
moved: number
}
