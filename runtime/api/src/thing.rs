//! Things, commands to them, and notifications.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A thing with its last known values.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Thing {
    /// Its stream without `thing-`.
    pub id: String,
    pub name: String,
    /// By name: `{"value","time","unit"?}`.
    pub properties: Value,
    /// Milliseconds since 1970.
    pub last_seen: i64,
    /// How many events there are of it.
    pub events: u64,
    /// Position of the last of them.
    pub position: u64,
}

/// A command to a thing: an action, or a property and the value it shall have.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandRequest {
    pub action: Option<String>,
    pub property: Option<String>,
    #[serde(default)]
    pub value: Value,
    /// Seconds after which it must not be carried out any more; 60 when absent.
    pub ttl: Option<f64>,
}

/// The id of a command that was taken.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CommandAccepted {
    pub command: String,
}

/// A command and what is known of it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Command {
    pub id: String,
    /// `requested`, `sent`, `delivered`, `confirmed`, `failed` or `expired`.
    pub state: String,
    pub events: Vec<Value>,
}

/// A notification and what became of it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Notification {
    pub id: String,
    /// `requested`, `sent`, `deferred` or `failed`.
    pub state: String,
    /// Milliseconds since 1970.
    pub time: i64,
    /// Data of the request and of what followed, merged.
    pub data: Value,
    pub events: Vec<Value>,
}

/// Which stretch of a property's history.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct HistoryQuery {
    /// Name of a numeric property; of a nested one such as `battery.percent`. Absent: the answer names those there are.
    pub property: Option<String>,
    /// RFC 3339, or milliseconds since 1970; a day before `to` when absent.
    pub from: Option<String>,
    /// Now when absent.
    pub to: Option<String>,
    /// Seconds of one bucket.
    pub step: Option<i64>,
    /// How many buckets are wanted at most, when there is no `step`; 300 when absent.
    pub points: Option<i64>,
    /// `json` or `csv`; else as the `Accept` header says.
    pub format: Option<String>,
}

/// History of one property.
#[derive(Debug, Serialize, JsonSchema)]
pub struct HistoryAnswer {
    pub thing: String,
    /// The numeric properties of the thing that have a history.
    pub properties: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub property: Option<String>,
    /// Milliseconds since 1970.
    pub from: i64,
    pub to: i64,
    /// Seconds of one bucket.
    pub step: i64,
    /// Seconds of the stored buckets that it was made from.
    pub resolution: i64,
    /// In order of time; stretches without a reading are left out.
    pub items: Vec<HistoryBucket>,
}

/// What is known of a property in one stretch of time.
#[derive(Debug, Serialize, JsonSchema)]
pub struct HistoryBucket {
    /// When it begins, milliseconds since 1970.
    pub time: i64,
    pub count: u64,
    pub min: f64,
    pub max: f64,
    pub mean: f64,
    pub last: f64,
}
