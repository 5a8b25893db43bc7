//! Errors as RFC 9457 has them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Why a request failed.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct ProblemDetails {
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind of problem in a few words.
    pub title: String,
    pub status: u16,
    /// Stable word for programs.
    pub code: String,
    /// What happened and how to mend it.
    pub detail: String,
    /// The same text under the name Node-RED's tools look for.
    pub message: String,
    /// What is particular to this kind of problem.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}
