/* Made by npm run gen: do not edit. */

/**
 * Events that a read model could not take into account.
 */
export interface MissingEvents {
/**
 * Everything up to here has taken effect.
 */
after: number
/**
 * Of what lies between, it knows what retention has left; all that comes later has taken effect.
 */
through: number
/**
 * Why that is so, and what can be done.
 */
reason: string
}
