//! Dead letters: messages that failed and that nobody took care of.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A message that failed.
#[derive(Debug, Serialize, JsonSchema)]
pub struct DeadLetter {
    /// Id of its event.
    pub id: String,
    pub position: u64,
    /// When it failed, in milliseconds since 1970.
    pub time: i64,
    pub node: LetterNode,
    /// `failed`, or `removed`: the node was gone before it got to the message.
    pub reason: String,
    /// What went wrong.
    pub error: String,
    /// Stable word for programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The message; of a large one only the beginning of its JSON text.
    pub message: Value,
    /// Length of the JSON text of which `message` is the beginning, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cut: Option<usize>,
    pub hops: u32,
    /// Number of the deploy in force.
    pub revision: u64,
    /// Further messages that failed at the node since its last letter and were not kept.
    pub suppressed: u64,
    /// The message was kept in full, so that it can be sent again.
    pub kept: bool,
    /// When it was sent again, in milliseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retried: Option<i64>,
}

/// The node a message failed at, as it was then.
#[derive(Debug, Serialize, JsonSchema)]
pub struct LetterNode {
    pub id: String,
    #[serde(rename = "type")]
    pub type_name: String,
    pub name: String,
    pub flow: String,
}

/// Which dead letters.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct DeadLettersQuery {
    /// Only those of this node.
    pub node: Option<String>,
    /// How many items at most.
    pub limit: Option<usize>,
    /// `next` of the page before.
    pub cursor: Option<String>,
}

/// How to send a dead letter again.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RetryQuery {
    /// `true`: also one that was sent again before.
    pub again: bool,
}

/// Sends all dead letters of a node again that were not yet.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct RetryRequest {
    /// Id of the node.
    pub node: String,
}

/// What was sent again.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RetryAnswer {
    pub retried: u64,
    /// Letters whose message was not kept.
    pub not_kept: u64,
    /// There are more: ask again.
    pub more: bool,
}
