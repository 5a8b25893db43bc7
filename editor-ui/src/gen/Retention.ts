/* Made by npm run gen: do not edit. */

/**
 * Which events are dropped when. The first policy that an event matches decides; without any, all are kept.
 */
export interface Retention {
policies: {
/**
 * Its name, which stands in the record of what it dropped.
 */
id?: string
/**
 * The event types it is about, each with `*` for any run of characters. Empty means all.
 */
types?: string[]
/**
 * The category it is about: what stands before the first `-` of a stream.
 */
category?: (string | null)
/**
 * The streams it is about, with `*` for any run of characters.
 */
stream?: (string | null)
/**
 * Events that were recorded longer ago than this are dropped. Nothing younger than a day ever is.
 */
maxAgeSeconds?: (number | null)
/**
 * So many newest events of each stream stay: an event is dropped when its stream has gone on by this many.
 */
maxCount?: (number | null)
/**
 * All events of the policy together take at most so many bytes in the log; the oldest go first.
 */
maxBytes?: (number | null)
}[]
}
