//! Events, streams and read models.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tidewire_model::retention::RetentionPolicy;
use tidewire_model::usage::SpaceLevel;

/// Which events.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct EventsQuery {
    /// Name of a stream; `*` stands for any run of characters.
    pub stream: Option<String>,
    /// What stands before the first `-` of a stream's name.
    pub category: Option<String>,
    /// Event types, separated by commas; `*` stands for any run of characters.
    #[serde(rename = "type")]
    pub event_type: Option<String>,
    /// Only events after this position (with `order=desc`: before it).
    pub after: Option<u64>,
    /// Recorded at or after: RFC 3339, or milliseconds since 1970.
    pub from: Option<String>,
    /// Recorded before.
    pub to: Option<String>,
    /// Before this position.
    pub before: Option<String>,
    /// The correlation id: what a whole chain has in common.
    pub correlation: Option<String>,
    /// The causation id: the event or command that led to the events.
    pub causation: Option<String>,
    /// A condition on each event, such as `data.temperature > 25 && subject.starts_with("thing-")`: a rhai expression
    /// over the attributes of the event and its data.
    pub filter: Option<String>,
    /// Text within stream, type or data.
    pub q: Option<String>,
    /// `asc` (default) or `desc`.
    pub order: Option<String>,
    /// How many at most. An export has no limit unless one is named.
    pub limit: Option<usize>,
    pub cursor: Option<String>,
    /// `json` (pages, the default), `batch` (pages as CloudEvents batches; the next one in the header `Link`), `ndjson` or
    /// `csv` (everything, streamed).
    pub format: Option<String>,
    /// 1: in the form in which they were stored, not in that of the latest schema. Pages only.
    pub raw: Option<String>,
    /// Columns of CSV, separated by commas: attributes of the event, `data`, `extensions`, or a path such as
    /// `data.temperature` or `extensions.traceparent`.
    pub columns: Option<String>,
    /// Where following begins: `now` (default), `beginning`, `checkpoint:NAME`, a position, or a time.
    pub start: Option<String>,
    /// Socket only: the name under which what was acknowledged is kept, and from where it goes on.
    pub durable: Option<String>,
    /// Socket only: how many events may be under way before the client acknowledges with `{"ack":POSITION}`.
    pub window: Option<usize>,
}

/// How one event is shown.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct EventQuery {
    /// 1: in the form in which it was stored, not in that of the latest schema.
    pub raw: Option<String>,
    /// `structured` or `binary` mode of CloudEvents; plain JSON without it.
    pub mode: Option<String>,
}

/// A page of events.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct EventsPage {
    pub items: Vec<Value>,
    /// Give it back as `cursor` to get the next page; null at the end.
    pub next: Option<String>,
    /// Events on which the condition failed; they count as no match.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter_failures: Option<FilterFailures>,
}

/// What went wrong with a condition on events.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct FilterFailures {
    /// On how many events it failed.
    pub count: u64,
    /// The last reason.
    pub last: String,
}

/// Where events were stored.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct AppendAnswer {
    /// Position of the first event; 0 when the batch was empty.
    pub position: u64,
    pub items: Vec<StoredEvent>,
}

/// Where one event was stored.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct StoredEvent {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    pub stream: String,
    pub position: u64,
    /// Version of the stream after it.
    pub version: u64,
    /// It had been stored before under the same id.
    pub deduplicated: bool,
    /// Why it was not stored, with `atomic=false`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Refused>,
}

/// Why an event was not stored.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Refused {
    pub code: String,
    pub detail: String,
}

/// How events are appended.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct AppendQuery {
    /// `true` (default): all events of the request, whatever their streams, are stored or none. `false`: each for itself; the
    /// answer says which were not, and why.
    pub atomic: Option<bool>,
}

/// A stream and its last change.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Stream {
    pub name: String,
    /// Number of events in it.
    pub version: u64,
    /// Position of the last event.
    pub position: u64,
    /// When that was recorded, milliseconds since 1970.
    pub time: i64,
}

/// Somebody who follows the log, or a place that is kept for somebody who will.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct FollowerInfo {
    /// `sse`, `socket`, `checkpoint` or `group`.
    pub kind: String,
    /// Number of the connection, or name of the checkpoint or group.
    pub name: String,
    /// Who it is, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// Which events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<Value>,
    /// Everything up to here is dealt with.
    pub position: u64,
    /// How many positions it is behind the head of the log.
    pub lag: u64,
    /// Events that were sent and are not acknowledged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub under_way: Option<u64>,
    /// Since when, milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<i64>,
    /// On how many events its condition failed; they were left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter_failures: Option<FilterFailures>,
}

/// A place in the log that is kept under a name.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Checkpoint {
    pub name: String,
    /// Everything up to here is dealt with.
    pub position: u64,
    /// How many positions that is behind the head of the log.
    pub lag: u64,
}

/// Where a checkpoint is to stand.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckpointAt {
    /// Who goes on there begins with the event after it; 0 is the beginning.
    pub position: u64,
}

/// Which streams.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct StreamsQuery {
    /// Only names that match; `*` stands for any run of characters.
    pub pattern: Option<String>,
    /// `name` (default), `position` or `time` (of the last change), or `version`; with `-` in front from the end.
    pub sort: Option<String>,
    pub limit: Option<usize>,
    pub cursor: Option<String>,
}

/// A read model.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Projection {
    pub name: String,
    /// Events up to here have taken effect.
    pub position: u64,
    /// How many events it is behind.
    pub lag: u64,
    /// Events that could not be applied.
    pub parked: u64,
    /// How many keys it has.
    pub keys: u64,
    /// Progress from 0 to 1 while it is built anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub building: Option<f64>,
    /// Events per second at which it is built.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build_rate: Option<f64>,
    /// Seconds until the build is done, as far as is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build_eta: Option<f64>,
    /// The new build is complete and waits to be swapped in.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ready: bool,
    /// Why it stands still, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// Whether a node keeps it up to date.
    pub kept: bool,
}

/// One entry of a read model.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ProjectionEntry {
    pub key: String,
    pub value: Value,
    /// The event that changed it last.
    pub position: u64,
    /// Time of that event, milliseconds since 1970.
    pub time: i64,
}

/// Which entries of a read model, and when.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct EntriesQuery {
    /// Conditions on `key`, `time`, `position` or `value.path` with `=`, `!=`, `<`, `<=`, `>`, `>=`, joined by ` and `:
    /// `value.celsius>21 and key=thing-*`. With `=` and `!=`, `*` stands for any run of characters.
    pub filter: Option<String>,
    /// `key`, `time`, `position` or `value.path`; with `-` in front from the end.
    pub sort: Option<String>,
    pub limit: Option<usize>,
    pub cursor: Option<String>,
    /// As it was: a position, or a time (RFC 3339, or milliseconds since 1970).
    pub at: Option<String>,
    /// Wait until this position has taken effect.
    pub min_position: Option<u64>,
}

/// Which events are dropped when. The first policy that an event matches decides; without any, all are kept.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    pub policies: Vec<RetentionPolicy>,
}

/// How to compact the log.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct CompactLog {
    /// Only say what would be dropped.
    pub dry_run: bool,
}

/// The scrub of the log: how far the one under way is, and what the last one found.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Scrub {
    /// Whether one is under way.
    pub running: bool,
    /// Bytes of the journal that it has read.
    pub done_bytes: u64,
    /// Bytes that it reads; 0 when none is under way.
    pub total_bytes: u64,
    /// What the last one found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Scrubbed>,
}

/// What a scrub found.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Scrubbed {
    /// When it ended, in milliseconds since 1970.
    pub ended: i64,
    pub events: u64,
    /// Bytes of records, uncompressed.
    pub bytes: u64,
    /// How many places are damaged.
    pub damaged: u64,
    /// What is wrong there, and which events that hits; at most 100.
    pub problems: Vec<String>,
}

/// How the event log is.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LogHealth {
    /// Why it takes no events, if so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_only: Option<String>,
    /// The index behind the journal.
    pub index: IndexHealth,
    /// What was found and mended when it was opened, and what was noticed since.
    pub notices: Vec<String>,
    /// The last position.
    pub head: u64,
    /// Whether there is enough room.
    pub room: SpaceLevel,
}

/// How the index is.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IndexHealth {
    /// What it is at.
    pub state: IndexState,
    /// From 0 to 1, while it is rebuilt.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<f64>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How many events are not in it yet.
    pub lag: u64,
}

/// What the index is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum IndexState {
    /// Being opened; appends and reads wait.
    Opening,
    /// Being brought up to the journal.
    Rebuilding,
    /// In order.
    Ready,
    /// Out of order until the next start.
    Failed,
}
