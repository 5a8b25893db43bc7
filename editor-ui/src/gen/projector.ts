/* Made by npm run gen: do not edit. */

/**
 * Keeps a read model of events: the latest value of each thing, a count, a sum, an extreme or an average.
 * 
 * Events that pass the filter are sorted by a *key*, the stream they stand in by default, and the reducer keeps one value
 * for each key. With a property, events that lack it are left out. The read model survives restarts; when its definition
 * changes it is built anew from the first event, while the old one can still be read. It is read with
 * `projection-query` or at `/api/projections/{name}/{key}`, now or as it was at any time.
 * 
 * The output sends a message whenever a value has changed: `topic` is the key, `payload` the value, `projection` the name
 * and `position` the event's. History is not sent again. If the nodes behind it are too slow for a long time, they get the
 * latest value of each key only.
 * 
 * An event that cannot be used (text where a number is wanted) is parked with the reason, and the read model goes on.
 */
export interface ProjectorConfig {
/**
 * Name of the read model; unique. Empty: the node's id.
 */
projection?: string
/**
 * Only this stream; `*` stands for anything. Empty: all.
 */
stream?: string
/**
 * Only streams of this category: what stands before the first `-`, such as `thing`. Empty: all.
 */
category?: string
/**
 * Only events of these types. Empty: all.
 */
eventTypes?: (string[] | string | null)
/**
 * What belongs together: `{{subject}}` (the stream), `{{thing}}`, `{{type}}`, `{{data.room}}`, or a fixed word.
 */
key?: string
/**
 * What is kept for each key.
 */
reducer?: ("latest" | "first" | "count" | "sum" | "min" | "max" | "average" | "script")
/**
 * Property of the event's data, such as `celsius`. Empty: the whole data.
 */
property?: string
/**
 * With the reducer `script`: `fn apply(state, event)` in rhai. It gives the new state of the key; `state` is `()` at
 * first, and `()` as the answer removes the key. `event` has the envelope, `data`, `time_ms`, and with a property
 * `value`.
 */
script?: string
}
