/* Made by npm run gen: do not edit. */

/**
 * The id of a command that was taken.
 */
export interface CommandAccepted {
command: string
}
