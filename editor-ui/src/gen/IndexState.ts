/* Made by npm run gen: do not edit. */

/**
 * What the index is at.
 */
export type IndexState = ("opening" | "rebuilding" | "ready" | "failed")
