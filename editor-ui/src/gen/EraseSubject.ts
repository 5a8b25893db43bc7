/* Made by npm run gen: do not edit. */

/**
 * Erases the data of a stream for good.
 */
export interface EraseSubject {
/**
 * The name of the stream once more.
 */
confirm: string
}
