//! Configuration of `projector`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire_node_api::lenient;

use super::cells::Late;
use crate::shared::event_filter::{list, list_schema};

/// Keeps a read model of events: the latest value of each thing, a count, a mean, an hourly sum, a duty cycle.
///
/// Events that pass the filter are sorted by a *key*, the stream they stand in by default, and the reducer keeps one value
/// for each key. With a property, events that lack it are left out. The read model survives restarts; when its definition
/// changes it is built anew from the first event, while the old one can still be read. It is read with
/// `projection-query` or at `/api/projections/{name}/{key}`, now or as it was at any time.
///
/// The output sends a message whenever a value has changed: `topic` is the key, `payload` the value, `projection` the name
/// and `position` the event's. History is not sent again. If the nodes behind it are too slow for a long time, they get the
/// latest value of each key only.
///
/// Windows go by the time of the events, not by the clock: a window moves on when an event comes that lies beyond it. The
/// value is then an object: `value`, `count`, `from` and `to` (milliseconds since 1970), `late` (events left out), and
/// `previous`, the window before.
///
/// An event that cannot be used (text where a number is wanted) is parked with the reason, and the read model goes on.
/// Parked events are listed at `/api/projections/{name}/keeping/parked`, and tried again or skipped there.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct ProjectorConfig {
    /// Name of the read model; unique. Empty: the node's id.
    #[schemars(length(max = 48), extend("x-widget" = "text"))]
    pub(super) projection: String,
    /// Only this stream; `*` stands for anything. Empty: all.
    #[schemars(extend("x-widget" = "text"))]
    pub(super) stream: String,
    /// Only streams of this category: what stands before the first `-`, such as `thing`. Empty: all.
    #[schemars(extend("x-widget" = "text"))]
    pub(super) category: String,
    /// Only events of these types. Empty: all.
    #[serde(deserialize_with = "list")]
    #[schemars(schema_with = "list_schema")]
    pub(super) event_types: Vec<String>,
    /// Only events on which this is true: a condition in rhai over the event, such as `data.temperature > 25` or
    /// `subject.starts_with("thing-")`. It may use `id source type subject stream category thing time time_ms recordedtime
    /// position version actor causationid correlationid` and `data`. An event on which it fails is left out. Empty: all.
    #[schemars(extend("x-widget" = "code", "x-language" = "rhai"))]
    pub(super) filter: String,
    /// What belongs together: `{{subject}}` (the stream), `{{thing}}`, `{{type}}`, `{{data.room}}`, or a fixed word.
    #[schemars(extend("x-widget" = "text"))]
    pub(super) key: String,
    /// What is kept for each key.
    #[schemars(extend("x-widget" = "select"))]
    pub(super) reducer: ReducerKind,
    /// Property of the event's data, such as `celsius`. Empty: the whole data.
    #[schemars(extend("x-widget" = "text"))]
    pub(super) property: String,
    /// Over which events: all there ever were, or those of a window of time.
    #[schemars(extend("x-widget" = "select", "x-show" = { "reducer": ["latest", "count", "sum", "min", "max", "average"] }))]
    pub(super) window: WindowKind,
    /// Length of a window. Tumbling windows begin at full multiples of it, in UTC.
    #[serde(deserialize_with = "lenient::number")]
    #[schemars(schema_with = "lenient::number_schema", extend("x-widget" = "duration", "x-show" = {
        "reducer": ["latest", "count", "sum", "min", "max", "average"], "window": ["tumbling", "sliding"]
    }))]
    pub(super) length: f64,
    /// The window moves on in steps of this length. Empty: a sixtieth of the window.
    #[serde(deserialize_with = "lenient::optional_number")]
    #[schemars(schema_with = "lenient::number_schema", extend("x-widget" = "duration", "x-show" = {
        "reducer": ["latest", "count", "sum", "min", "max", "average"], "window": ["sliding"]
    }))]
    pub(super) step: Option<f64>,
    /// A session ends when nothing comes for so long.
    #[serde(deserialize_with = "lenient::number")]
    #[schemars(schema_with = "lenient::number_schema", extend("x-widget" = "duration", "x-show" = {
        "reducer": ["latest", "count", "sum", "min", "max", "average"], "window": ["session"]
    }))]
    pub(super) pause: f64,
    /// For so long after its end, a window still takes events that come late.
    #[serde(deserialize_with = "lenient::number")]
    #[schemars(schema_with = "lenient::number_schema", extend("x-widget" = "duration", "x-show" = {
        "reducer": ["latest", "count", "sum", "min", "max", "average"], "window": ["tumbling", "session"]
    }))]
    pub(super) lateness: f64,
    /// Time over which it is measured, back from the newest event.
    #[serde(deserialize_with = "lenient::number")]
    #[schemars(schema_with = "lenient::number_schema", extend("x-widget" = "duration", "x-show" = {
        "reducer": ["rate", "duty-cycle"]
    }))]
    pub(super) over: f64,
    /// It counts as on from this number on. Empty: when the value is true, `on`, or a number other than 0.
    #[serde(deserialize_with = "lenient::optional_number")]
    #[schemars(schema_with = "lenient::number_schema", extend("x-show" = { "reducer": ["duty-cycle"] }))]
    pub(super) threshold: Option<f64>,
    /// Pauses longer than this are not bridged: nothing is added for them. Empty: all are bridged.
    #[serde(deserialize_with = "lenient::optional_number")]
    #[schemars(schema_with = "lenient::number_schema", extend("x-widget" = "duration", "x-show" = {
        "reducer": ["integral"]
    }))]
    pub(super) longest_pause: Option<f64>,
    /// How many values are kept, 1,000 at most.
    #[serde(deserialize_with = "lenient::number")]
    #[schemars(schema_with = "lenient::number_schema", extend("x-show" = { "reducer": ["last-n"] }))]
    pub(super) count: f64,
    /// How values are put into buckets.
    #[schemars(extend("x-widget" = "select", "x-show" = { "reducer": ["histogram"] }))]
    pub(super) buckets: BucketKind,
    /// Upper ends of the buckets, such as `10, 20, 50`; one more takes what is above.
    #[serde(deserialize_with = "lenient::text")]
    #[schemars(schema_with = "lenient::text_schema", extend("x-show" = { "reducer": ["histogram"], "buckets": ["given"] }))]
    pub(super) bounds: String,
    /// Upper end of the first bucket.
    #[serde(deserialize_with = "lenient::number")]
    #[schemars(schema_with = "lenient::number_schema", extend("x-show" = { "reducer": ["histogram"], "buckets": ["exponential"] }))]
    pub(super) first_bound: f64,
    /// Each bucket ends at so many times the one before.
    #[serde(deserialize_with = "lenient::number")]
    #[schemars(schema_with = "lenient::number_schema", extend("x-show" = { "reducer": ["histogram"], "buckets": ["exponential"] }))]
    pub(super) factor: f64,
    /// Number of buckets, 100 at most; one more takes what is above.
    #[serde(deserialize_with = "lenient::number")]
    #[schemars(schema_with = "lenient::number_schema", extend("x-show" = { "reducer": ["histogram"], "buckets": ["exponential"] }))]
    pub(super) bucket_count: f64,
    /// What makes it change its state.
    #[schemars(extend("x-widget" = "select", "x-show" = { "reducer": ["state-machine"] }))]
    pub(super) trigger: Trigger,
    /// One a line, such as `idle, paused -> running: started`; `*` stands for any state, and several triggers are set
    /// apart by commas. Empty: each trigger is the state that it leads to.
    #[schemars(extend("x-widget" = "code", "x-show" = { "reducer": ["state-machine"] }))]
    pub(super) transitions: String,
    /// The state before anything happened. Empty: none.
    #[schemars(extend("x-widget" = "text", "x-show" = { "reducer": ["state-machine"] }))]
    pub(super) initial: String,
    /// What happens with an event that comes too late to count.
    #[schemars(extend("x-widget" = "select", "x-show" = { "reducer": [
        "latest", "count", "sum", "min", "max", "average", "rate", "derivative", "integral", "duty-cycle", "state-machine"
    ] }))]
    pub(super) late: Late,
    /// `fn apply(state, event)` in rhai. It gives the new state of the key; `state` is `()` at first, and `()` as the
    /// answer removes the key. `event` has the envelope, `data`, `time_ms`, and with a property `value`.
    #[schemars(extend("x-widget" = "code", "x-language" = "rhai", "x-show" = { "reducer": ["script"] }))]
    pub(super) script: String,
}

impl Default for ProjectorConfig {
    fn default() -> Self {
        ProjectorConfig {
            projection: String::new(),
            stream: String::new(),
            category: String::new(),
            event_types: Vec::new(),
            filter: String::new(),
            key: "{{subject}}".to_owned(),
            reducer: ReducerKind::Latest,
            property: String::new(),
            window: WindowKind::None,
            length: 3_600.0,
            step: None,
            pause: 300.0,
            lateness: 0.0,
            over: 60.0,
            threshold: None,
            longest_pause: None,
            count: 10.0,
            buckets: BucketKind::Automatic,
            bounds: String::new(),
            first_bound: 1.0,
            factor: 2.0,
            bucket_count: 10.0,
            trigger: Trigger::Value,
            transitions: String::new(),
            initial: String::new(),
            late: Late::Ignore,
            script: String::new(),
        }
    }
}

/// What is kept for each key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum ReducerKind {
    /// The latest value.
    #[default]
    Latest,
    /// The first value.
    First,
    /// How many events there were.
    Count,
    /// The sum of the numbers.
    Sum,
    /// The smallest number.
    Min,
    /// The largest number.
    Max,
    /// The arithmetic mean of the numbers.
    Average,
    /// How many different values there were: exact up to 1,000, then estimated to about 2 %.
    Distinct,
    /// How much came per second: events, or with a property the sum of its numbers.
    Rate,
    /// How fast the number changes, per second.
    Derivative,
    /// The number added up over time, value times seconds: watts become watt-seconds.
    Integral,
    /// The share of time that something was on, from 0 to 1.
    DutyCycle,
    /// The last few values with their times.
    LastN,
    /// How the numbers are spread: percentiles, and counts between bounds.
    Histogram,
    /// Which state something is in, since when, and how long it was in each.
    StateMachine,
    /// What the script makes of it.
    Script,
}

/// Over which events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum WindowKind {
    /// All there ever were.
    #[default]
    None,
    /// One window after the other: each hour for itself.
    Tumbling,
    /// The last hour, at any time.
    Sliding,
    /// As long as events keep coming.
    Session,
}

/// How values are put into buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum BucketKind {
    /// So fine that percentiles are right to 1 %.
    #[default]
    Automatic,
    /// Between given bounds.
    Given,
    /// Between bounds that grow by a factor.
    Exponential,
}

/// What makes a state machine change its state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Trigger {
    /// The value of the property.
    #[default]
    Value,
    /// The type of the event.
    Type,
}
