//! Events, streams and read models.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

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
    /// Text within stream, type or data.
    pub q: Option<String>,
    /// `asc` (default) or `desc`.
    pub order: Option<String>,
    pub limit: Option<usize>,
    pub cursor: Option<String>,
}

/// Where events were stored.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct AppendAnswer {
    /// Position of the first event.
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

/// Which streams.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct StreamsQuery {
    /// Only names that match; `*` stands for any run of characters.
    pub pattern: Option<String>,
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
    /// Progress from 0 to 1 while it is built anew.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub building: Option<f64>,
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
    /// `key=text` or `value.path=text`; `*` stands for any run of characters.
    pub filter: Option<String>,
    /// `key`, `time`, `position` or `value.path`; with `-` in front from the end.
    pub sort: Option<String>,
    pub limit: Option<usize>,
    pub cursor: Option<String>,
    /// As it was: a position, or a time (RFC 3339 or milliseconds with `t` in front).
    pub at: Option<String>,
    /// Wait until this position has taken effect.
    pub min_position: Option<u64>,
}
