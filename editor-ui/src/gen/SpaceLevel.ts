/* Made by npm run gen: do not edit. */

/**
 * How the room is.
 */
export type SpaceLevel = ("normal" | "warning" | "refusing")
