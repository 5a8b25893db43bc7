//! Read models: how they are kept, what they could not apply, and what a new build changes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::log::Projection;

/// A read model with what is kept beside it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ProjectionStatus {
    #[serde(flatten)]
    pub projection: Projection,
    /// Positions of its snapshots: from there on it can be looked back at quickly.
    pub snapshots: Vec<u64>,
    /// It was begun from a snapshot that stands here; 0: from the first event.
    pub begun_from: u64,
    /// Events up to here may have been removed by retention; 0: all are there.
    pub thinned: u64,
    /// What it lacks because retention removed it first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gap: Option<MissingEvents>,
    /// What the last new build changed, or what the one that waits would change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Comparison>,
}

/// Events that a read model could not take into account.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct MissingEvents {
    /// Everything up to here has taken effect.
    pub after: u64,
    /// Of what lies between, it knows what retention has left; all that comes later has taken effect.
    pub through: u64,
    /// Why that is so, and what can be done.
    pub reason: String,
}

/// A new build beside the one that it takes the place of.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Comparison {
    pub old_position: u64,
    pub new_position: u64,
    pub old_keys: u64,
    pub new_keys: u64,
    /// How many keys have another value, or are in one of them only.
    pub different: u64,
    /// The first of them.
    pub sample: Vec<Difference>,
}

/// An entry that is not the same in both.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Difference {
    pub key: String,
    /// Null: there was none.
    pub old: Value,
    pub new: Value,
}

/// An event that a read model could not apply.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct UnappliedEvent {
    pub position: u64,
    /// Id of the event.
    pub event: String,
    /// Why it could not be applied.
    pub reason: String,
    /// Who said that it is to be left out, why and when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped: Option<SkippedEvent>,
}

/// A decision to leave a parked event out.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct SkippedEvent {
    pub by: String,
    pub reason: String,
    /// Milliseconds since 1970.
    pub time: i64,
}

/// Why a parked event is left out.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SkipRequest {
    pub reason: String,
}

/// How a read model is built anew.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RebuildQuery {
    /// `auto` (default): the new build takes its place when it is complete; `manual`: when that is asked for.
    pub swap: Option<String>,
}
