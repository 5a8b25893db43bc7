/* Made by npm run gen: do not edit. */

/**
 * How to compact the log.
 */
export interface CompactLog {
/**
 * Only say what would be dropped.
 */
dryRun?: boolean
}
