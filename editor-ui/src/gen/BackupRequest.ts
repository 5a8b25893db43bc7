/* Made by npm run gen: do not edit. */

/**
 * Where to back up to.
 */
export interface BackupRequest {
/**
 * A folder of the server's machine: new, empty, or with an earlier backup of the same log.
 */
folder: string
}
