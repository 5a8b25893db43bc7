/* Made by npm run gen: do not edit. */

/**
 * Keeps a read model of events: the latest value of each thing, a count, a mean, an hourly sum, a duty cycle.
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
 * Windows go by the time of the events, not by the clock: a window moves on when an event comes that lies beyond it. The
 * value is then an object: `value`, `count`, `from` and `to` (milliseconds since 1970), `late` (events left out), and
 * `previous`, the window before.
 * 
 * An event that cannot be used (text where a number is wanted) is parked with the reason, and the read model goes on.
 * Parked events are listed at `/api/projections/{name}/keeping/parked`, and tried again or skipped there.
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
 * Only events on which this is true: a condition in rhai over the event, such as `data.temperature > 25` or
 * `subject.starts_with("thing-")`. It may use `id source type subject stream category thing time time_ms recordedtime
 * position version actor causationid correlationid` and `data`. An event on which it fails is left out. Empty: all.
 */
filter?: string
/**
 * What belongs together: `{{subject}}` (the stream), `{{thing}}`, `{{type}}`, `{{data.room}}`, or a fixed word.
 */
key?: string
/**
 * What is kept for each key.
 */
reducer?: ("latest" | "first" | "count" | "sum" | "min" | "max" | "average" | "distinct" | "rate" | "derivative" | "integral" | "duty-cycle" | "last-n" | "histogram" | "state-machine" | "script")
/**
 * Property of the event's data, such as `celsius`. Empty: the whole data.
 */
property?: string
/**
 * Over which events: all there ever were, or those of a window of time.
 */
window?: ("none" | "tumbling" | "sliding" | "session")
/**
 * Length of a window. Tumbling windows begin at full multiples of it, in UTC.
 */
length?: (number | string | null)
/**
 * The window moves on in steps of this length. Empty: a sixtieth of the window.
 */
step?: (number | string | null)
/**
 * A session ends when nothing comes for so long.
 */
pause?: (number | string | null)
/**
 * For so long after its end, a window still takes events that come late.
 */
lateness?: (number | string | null)
/**
 * Time over which it is measured, back from the newest event.
 */
over?: (number | string | null)
/**
 * It counts as on from this number on. Empty: when the value is true, `on`, or a number other than 0.
 */
threshold?: (number | string | null)
/**
 * Pauses longer than this are not bridged: nothing is added for them. Empty: all are bridged.
 */
longestPause?: (number | string | null)
/**
 * How many values are kept, 1,000 at most.
 */
count?: (number | string | null)
/**
 * How values are put into buckets.
 */
buckets?: ("automatic" | "given" | "exponential")
/**
 * Upper ends of the buckets, such as `10, 20, 50`; one more takes what is above.
 */
bounds?: (string | number | boolean | null)
/**
 * Upper end of the first bucket.
 */
firstBound?: (number | string | null)
/**
 * Each bucket ends at so many times the one before.
 */
factor?: (number | string | null)
/**
 * Number of buckets, 100 at most; one more takes what is above.
 */
bucketCount?: (number | string | null)
/**
 * What makes it change its state.
 */
trigger?: ("value" | "type")
/**
 * One a line, such as `idle, paused -> running: started`; `*` stands for any state, and several triggers are set
 * apart by commas. Empty: each trigger is the state that it leads to.
 */
transitions?: string
/**
 * The state before anything happened. Empty: none.
 */
initial?: string
/**
 * What happens with an event that comes too late to count.
 */
late?: ("ignore" | "park")
/**
 * `fn apply(state, event)` in rhai. It gives the new state of the key; `state` is `()` at first, and `()` as the
 * answer removes the key. `event` has the envelope, `data`, `time_ms`, and with a property `value`.
 */
script?: string
}
