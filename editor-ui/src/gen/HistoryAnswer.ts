/* Made by npm run gen: do not edit. */

/**
 * History of one property.
 */
export interface HistoryAnswer {
thing: string
/**
 * The numeric properties of the thing that have a history.
 */
properties: string[]
property?: (string | null)
/**
 * Milliseconds since 1970.
 */
from: number
to: number
/**
 * Seconds of one bucket.
 */
step: number
/**
 * Seconds of the stored buckets that it was made from.
 */
resolution: number
/**
 * In order of time; stretches without a reading are left out.
 */
items: {
/**
 * When it begins, milliseconds since 1970.
 */
time: number
count: number
min: number
max: number
mean: number
last: number
}[]
}
