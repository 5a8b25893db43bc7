//! Schemas of event types.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What happens to data that does not follow its schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SchemaMode {
    /// Nothing is checked.
    Off,
    /// It is stored, and counted.
    Warn,
    /// It is refused.
    Refuse,
}

/// The schemas of one event type.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TypeSchemas {
    #[serde(rename = "type")]
    pub event_type: String,
    pub mode: SchemaMode,
    /// By number.
    pub versions: BTreeMap<u32, SchemaVersion>,
    /// Events that were refused since the start.
    pub refused: u64,
    /// Events that were stored though they do not follow their schema.
    pub warned: u64,
    /// What was wrong with the last one, as `path: text`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_problem: Option<String>,
    /// How often an event could not be brought into the latest form.
    pub upcast_failed: u64,
    /// Why, the last time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<String>,
}

/// One version of an event type.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct SchemaVersion {
    /// The JSON Schema that data follows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
    /// A rhai script with `fn upcast(data, event)` that makes data of this version from that of the one before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upcast: Option<String>,
    /// Position of the event that registered it.
    pub position: u64,
}

/// Registers a version of an event type.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PutSchema {
    /// The JSON Schema that data follows; none: any data.
    #[serde(default)]
    pub schema: Option<Value>,
    /// A rhai script with `fn upcast(data, event)` that makes data of this version from that of the one before.
    #[serde(default)]
    pub upcast: Option<String>,
}

/// What happens to data that does not follow its schema, from now on.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PutSchemaMode {
    pub mode: SchemaMode,
}

/// Events to be tried on schemas; nothing is stored.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TrySchemas {
    /// CloudEvents in structured mode.
    pub events: Vec<Value>,
    /// As if one more version of a type were registered, such as `reading-reported/3`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub with: Option<String>,
    /// The JSON Schema of that version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
    /// The script of that version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upcast: Option<String>,
}

/// What would become of an event.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TriedEvent {
    /// The schema that it would be checked against; none: any data is taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// What is wrong with it, as `path: text`.
    pub problems: Vec<String>,
    /// Its data as it would be read if it were stored as it is; null when it is no JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Value>,
    /// Why it would be read as it is stored, and not in the latest form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upcast_problem: Option<String>,
}
