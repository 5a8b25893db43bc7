/* Made by npm run gen: do not edit. */

/**
 * What a log takes and what is left.
 */
export interface Usage {
/**
 * Segments that are no archives yet.
 */
journalBytes: number
/**
 * Archives.
 */
archiveBytes: number
/**
 * Large payloads.
 */
contentBytes: number
/**
 * The indexed store.
 */
storeBytes: number
/**
 * What all of it takes.
 */
totalBytes: number
/**
 * What the disk has left, and how large it is.
 */
diskFreeBytes?: (number | null)
/**
 * How large the disk is.
 */
diskTotalBytes?: (number | null)
/**
 * What the log may take, if somebody said so.
 */
maxBytes?: (number | null)
/**
 * How the room is.
 */
level: ("normal" | "warning" | "refusing")
/**
 * The last position.
 */
head: number
/**
 * Events a day over the last days.
 */
eventsPerDay: number
/**
 * Bytes a day over the last days, as far as can be told.
 */
bytesPerDay: number
/**
 * Days until new events are refused at this rate; absent when nothing grows.
 */
daysLeft?: (number | null)
/**
 * What is in the archives, the largest first.
 */
archived: {
/**
 * The category.
 */
category: string
/**
 * The event type.
 */
eventType: string
/**
 * How many events.
 */
events: number
/**
 * How many bytes, uncompressed.
 */
bytes: number
}[]
}
