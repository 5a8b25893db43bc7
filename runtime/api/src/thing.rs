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
