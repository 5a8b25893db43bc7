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
/**
 * Until when the key can still come back from a file with keys that was made here, in milliseconds since 1970.
 * Destroy those files, or wait.
 */
restorableUntil?: (number | null)
}
