/* Made by npm run gen: do not edit. */

/**
 * A member answers for events that it holds.
 */
export interface SettleEvents {
/**
 * The name of the member.
 */
member: string
positions: number[]
/**
 * `nak` only: how long to wait before they are handed out again, in milliseconds.
 */
delay_ms?: number
/**
 * `nak` and `park`: why.
 */
reason?: (string | null)
}
