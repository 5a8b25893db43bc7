/* Made by npm run gen: do not edit. */

/**
 * Sends events of the event log as messages.
 * 
 * `topic` is the stream, `payload` the data, and `event` the envelope: `id`, `type`, `subject`, `stream`, `time`,
 * `position`, `version` and what is known of its cause. Events that were in the log before the start are sent first when
 * *start* says so; they are marked `event.replayed`, and effects such as notifications are withheld for them.
 * 
 * With a *durable* name the node goes on after a restart where it stood, whatever *start* says: each event is sent until
 * the nodes behind have dealt with it (at least once). An event on which they fail is sent three times, then skipped with
 * an error.
 * 
 * In a *group* several nodes share the events: each goes to one of them, again to any of them when it failed or was not
 * dealt with in time, and after ten times it is put aside (*parked*), where it can be looked at and replayed.
 * `event.delivery` counts. The group keeps its place under its own name; *start* says where a new group begins.
 */
export interface EventStoreInConfig {
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
 * `now`, `beginning`, `checkpoint` (where the durable name stands, else the beginning), a position, or a time.
 */
start?: (string | number | boolean | null)
/**
 * Name under which the node's place in the log is kept. Empty: the place is not kept.
 */
durable?: string
/**
 * Name of a group to be a member of: its members, here and elsewhere, share the events among them, and each event goes to
 * one of them. Empty: this node gets all events.
 */
group?: string
/**
 * In a group: all events of a stream go to one member at a time, in order.
 */
byStream?: (boolean | string | number | null)
}
