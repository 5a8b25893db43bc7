/* Made by npm run gen: do not edit. */

/**
 * Someone who still needs events.
 */
export interface Hold {
/**
 * Who, such as `checkpoint alarms`.
 */
by: string
/**
 * The first position that is needed.
 */
from: number
}
