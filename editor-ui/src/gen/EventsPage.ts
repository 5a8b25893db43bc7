/* Made by npm run gen: do not edit. */

/**
 * A page of events.
 */
export interface EventsPage {
items: unknown[]
/**
 * Give it back as `cursor` to get the next page; null at the end.
 */
next?: (string | null)
/**
 * Events on which the condition failed; they count as no match.
 */
filter_failures?: ({
/**
 * On how many events it failed.
 */
count: number
/**
 * The last reason.
 */
last: string
} | null)
}
