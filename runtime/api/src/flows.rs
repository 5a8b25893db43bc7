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
    pub kind: String,
    pub author: String,
    /// Milliseconds since 1970.
    pub time: i64,
    pub position: u64,
    pub diff: FlowDiff,
    /// Only when one deploy is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flows: Option<Value>,
}
