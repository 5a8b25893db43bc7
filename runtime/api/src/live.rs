//! The editor's live channel and taps.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a client of `/api/live` wants; replaces what it wanted before.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Watch {
    /// Nodes to report on; absent means all.
    pub watch: Option<Vec<String>>,
    /// Debug messages.
    pub debug: bool,
    /// New events.
    pub tail: bool,
}

/// One frame of `/api/live`: only what changed since the frame before.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Frame {
    /// Milliseconds since 1970.
    pub time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rev: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub events_per_second: Option<f64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub nodes: BTreeMap<String, NodeLive>,
    /// By `<from>:<port>:<to>`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub wires: BTreeMap<String, WireLive>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub status: BTreeMap<String, Value>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub problems: BTreeMap<String, Option<String>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub debug: Vec<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<Value>,
}

/// A node's counters.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct NodeLive {
    #[serde(rename = "in")]
    pub received: u64,
    #[serde(rename = "out")]
    pub sent: Vec<u64>,
    /// Messages per second, in and out.
    pub rate: f64,
    pub errors: u64,
    /// Messages that wait in front of it.
    pub queue: usize,
    /// Their size in memory.
    pub bytes: usize,
    /// Share of the time in which it worked, 0 to 1.
    pub busy: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<LastValue>,
    /// Recent numeric values, oldest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ring: Option<Vec<f64>>,
}

/// The value a node sent last, shortened.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct LastValue {
    pub value: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// Milliseconds since 1970.
    pub time: i64,
}

/// A wire's counters.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct WireLive {
    pub total: u64,
    pub rate: f64,
    pub dropped: u64,
    /// Share of the time in which its sender had to wait, 0 to 1.
    pub blocked: f64,
    /// Messages from this wire that wait in front of its target.
    pub queue: usize,
    /// Their size in memory.
    pub bytes: usize,
}

/// Which nodes to tap.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct TapQuery {
    /// Ids, separated by commas; they need not exist yet.
    pub nodes: String,
}
