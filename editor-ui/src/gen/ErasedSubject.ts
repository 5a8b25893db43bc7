/* Made by npm run gen: do not edit. */

/**
 * What an erasure did.
 */
export interface ErasedSubject {
stream: string
/**
 * The key that was destroyed.
 */
keyId: string
/**
 * Position of the event that says so; absent when it had been erased before.
 */
position?: (number | null)
/**
 * Events that were stored before the stream was personal: they are not encrypted and stay.
 */
inClear: number
}
