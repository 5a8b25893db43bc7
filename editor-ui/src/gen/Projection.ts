/* Made by npm run gen: do not edit. */

/**
 * A read model.
 */
export interface Projection {
name: string
/**
 * Events up to here have taken effect.
 */
position: number
/**
 * How many events it is behind.
 */
lag: number
/**
 * Events that could not be applied.
 */
parked: number
/**
 * Progress from 0 to 1 while it is built anew.
 */
building?: (number | null)
}
