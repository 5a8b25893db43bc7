//! Flows: Node-RED's admin API, checks and the history of deploys.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tidewire_model::Problem;
use tidewire_model::flow::FlowDiff;

/// The flows with their revision (`Node-RED-API-Version: v2`).
#[derive(Debug, Serialize, JsonSchema)]
pub struct FlowsAnswer {
    pub flows: Value,
    pub rev: String,
}

/// What a deploy did.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct DeployAnswer {
    pub rev: String,
    /// Number of the deploy, from 1.
    pub number: u64,
    /// Place of its event in the log.
    pub position: u64,
    /// Findings; nodes that have an error among them do not run.
    pub problems: Vec<Problem>,
}

/// Flows to be looked at without deploying them.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct CheckRequest {
    pub flows: Value,
}

/// Findings.
#[derive(Debug, Serialize, JsonSchema)]
pub struct CheckAnswer {
    pub problems: Vec<Problem>,
}

/// Whether flows run: `start`, `stop` or `safe`.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct FlowsState {
    pub state: String,
}

/// Id of a flow.
#[derive(Debug, Serialize, JsonSchema)]
pub struct FlowId {
    pub id: String,
}

/// One deploy of the past.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Deploy {
    pub rev: String,
    /// From 1, without gaps.
    pub number: u64,
    /// `full`, `flows`, `nodes` or `reload`.
    pub kind: String,
    pub author: String,
    /// Milliseconds since 1970.
    pub time: i64,
    /// Place of its event in the log.
    pub position: u64,
    /// Revision of the earlier deploy whose flows these are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restored: Option<String>,
    pub changes: Changes,
    /// Only when one deploy is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diff: Option<FlowDiff>,
    /// Only when one deploy is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flows: Option<Value>,
}

/// How many nodes a deploy changed, and in what way.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Changes {
    pub added: usize,
    pub removed: usize,
    pub changed: usize,
    pub rewired: usize,
    pub moved: usize,
}

impl From<&FlowDiff> for Changes {
    fn from(diff: &FlowDiff) -> Self {
        Changes {
            added: diff.added.len(),
            removed: diff.removed.len(),
            changed: diff.changed.len(),
            rewired: diff.rewired.len(),
            moved: diff.moved.len(),
        }
    }
}

/// How to restore an earlier deploy.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RestoreRequest {
    /// The revision that is thought to be in force; if another one is, nothing is deployed.
    pub rev: Option<String>,
}
