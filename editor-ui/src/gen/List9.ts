/* Made by npm run gen: do not edit. */

/**
 * One page of a list.
 */
export interface List9 {
items: {
name: string
/**
 * Which events.
 */
filter: {
[k: string]: unknown
}
/**
 * How events are shared out.
 */
strategy: ("round_robin" | "by_stream")
in_flight_max: number
lease_ms: number
deliveries_max: number
/**
 * Everything up to here is dealt with or put aside.
 */
position: number
/**
 * How many positions the head of the log is ahead of it.
 */
lag: number
/**
 * Events that members hold.
 */
in_flight: number
/**
 * Events that wait for a time before they are handed out again.
 */
waiting: number
/**
 * Events that were put aside.
 */
parked: number
/**
 * How often events were handed out.
 */
delivered: number
/**
 * How often that was not the first time.
 */
redelivered: number
acknowledged: number
members: {
name: string
in_flight: number
/**
 * When it was heard of last, milliseconds since 1970.
 */
seen: number
}[]
}[]
/**
 * Give it back as `cursor` to get the next page; null at the end.
 */
next?: (string | null)
}
