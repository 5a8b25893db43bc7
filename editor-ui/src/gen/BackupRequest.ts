/* Made by npm run gen: do not edit. */

/**
 * Where to back up to.
 */
export interface BackupRequest {
/**
 * A folder of the server's machine: new, empty, or with an earlier backup of the same log.
 */
folder: string
/**
 * A file for the keys of personal streams and of secrets; keep it apart from the backup.
 */
keys?: (string | null)
/**
 * For how many days these keys may be restored, 1 to 366; 30 unless it is said.
 */
keysDays?: (number | null)
}
