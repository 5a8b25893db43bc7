//! Node types and single nodes.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

/// A node type as palette and forms need it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct NodeTypeInfo {
    #[serde(rename = "type")]
    pub type_name: String,
    pub label: String,
    pub category: String,
    /// `in`, `logic`, `state`, `out` or `system`.
    pub role: String,
    /// `pure`, `stateful`, `source`, `effect` or `config`.
    pub kind: String,
    pub icon: String,
    pub inputs: u8,
    pub outputs: Vec<String>,
    pub button: bool,
    pub keywords: Vec<String>,
    /// First sentence of the help.
    pub summary: String,
    /// Markdown.
    pub help: String,
    pub defaults: Value,
    /// JSON Schema; its properties are in the author's order.
    pub schema: Value,
}

/// A node set as Node-RED's tools list it.
#[derive(Debug, Serialize, JsonSchema)]
pub struct NodeSet {
    pub id: String,
    pub name: String,
    pub types: Vec<String>,
    pub enabled: bool,
    pub local: bool,
    pub user: bool,
    pub module: String,
    pub version: String,
}
