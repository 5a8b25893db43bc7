/* Made by npm run gen: do not edit. */

export interface SendQuery {
/**
 * 1: deliver it as it is, without adding `_msgid`.
 */
raw?: (string | null)
}
