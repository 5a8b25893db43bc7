/* Made by npm run gen: do not edit. */

/**
 * How events are shared out.
 */
export type GroupStrategy = ("round_robin" | "by_stream")
