/* Made by npm run gen: do not edit. */

/**
 * How far a backup is.
 */
export type BackupState = ("running" | "done" | "failed" | "cancelled")
