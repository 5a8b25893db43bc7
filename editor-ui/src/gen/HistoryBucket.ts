/* Made by npm run gen: do not edit. */

/**
 * What is known of a property in one stretch of time.
 */
export interface HistoryBucket {
/**
 * When it begins, milliseconds since 1970.
 */
time: number
count: number
min: number
max: number
mean: number
last: number
}
