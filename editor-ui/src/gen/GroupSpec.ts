/* Made by npm run gen: do not edit. */

/**
 * What a group is to be.
 */
export interface GroupSpec {
/**
 * Name of a stream; `*` stands for any run of characters.
 */
stream?: (string | null)
/**
 * What stands before the first `-` of a stream's name.
 */
category?: (string | null)
/**
 * Event types; `*` stands for any run of characters. Empty: all.
 */
types?: string[]
/**
 * A condition on each event, such as `data.temperature > 25`.
 */
filter?: (string | null)
/**
 * Where a new group begins: `beginning` (default), `now`, `checkpoint:NAME`, a position, or a time.
 */
start?: (string | null)
/**
 * How events are shared out.
 */
strategy?: ("round_robin" | "by_stream")
/**
 * How many events one member may hold at a time. Here and below the group's answer tells the default.
 */
in_flight_max?: (number | null)
/**
 * How long a member may hold one without an answer, in milliseconds.
 */
lease_ms?: (number | null)
/**
 * How often an event is handed out before it is put aside.
 */
deliveries_max?: (number | null)
}
