//! A flow file, read and written without losing a property, an order or an unknown node.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Serialize};
use serde_json::{Map as JsonMap, Value as Json};

use crate::id::NodeId;
use crate::problem::Problem;

/// What an entry of a flow file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeKind {
    /// A flow (one tab of the editor).
    Tab,
    Group,
    /// The definition of a subflow.
    Subflow,
    /// Shared and unwired, such as an MQTT connection.
    Config,
    /// Stands on a flow or in a subflow.
    Node,
}

/// One entry of a flow file; all its properties are kept as they came. A clone shares them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowNode {
    id: NodeId,
    kind: NodeKind,
    /// Its type is `subflow:<id>`.
    instance: bool,
    /// Invariant: a JSON object.
    json: Arc<Json>,
}

/// What [`FlowNode::type_name`] of a subflow's instance begins with.
pub(super) const INSTANCE: &str = "subflow:";

/// Why text or JSON is no flow file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    #[error("not JSON: {0}")]
    NotJson(String),
    #[error("a flow file is a JSON array of nodes (or an object with a \"flows\" array); this is {0}")]
    NotFlows(&'static str),
    #[error("entry {index}: {reason}")]
    BadNode { index: usize, reason: String },
}

/// A flow file. A clone shares everything.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FlowDocument {
    nodes: Arc<Vec<FlowNode>>,
    by_id: Arc<HashMap<NodeId, usize>>,
}

impl FlowNode {
    fn read(index: usize, json: Json) -> Result<Self, DocumentError> {
        let bad = |reason: &str| DocumentError::BadNode { index, reason: reason.to_owned() };
        let Json::Object(properties) = json else { return Err(bad("a node must be a JSON object")) };
        let text = |key: &str| properties.get(key).and_then(Json::as_str).filter(|text| !text.is_empty());
        let id = NodeId::new(text("id").ok_or_else(|| bad("the node has no \"id\" (a non-empty text)"))?);
        let type_name = text("type").ok_or_else(|| bad("the node has no \"type\" (a non-empty text)"))?;
        let instance = type_name.starts_with(INSTANCE);
        let kind = match type_name {
            "tab" => NodeKind::Tab,
            "group" => NodeKind::Group,
            "subflow" => NodeKind::Subflow,
            // Node-RED's own test: a config node has no place on a canvas. Wires tell for flows written by hand.
            _ if instance
                || properties.contains_key("wires")
                || (properties.contains_key("x") && properties.contains_key("y")) =>
            {
                NodeKind::Node
            }
            _ => NodeKind::Config,
        };
        Ok(FlowNode { id, kind, instance, json: Arc::new(Json::Object(properties)) })
    }

    /// The same entry with another id and other properties, which must agree with it.
    pub(super) fn changed(&self, id: NodeId, properties: JsonMap<String, Json>) -> Self {
        FlowNode { id, json: Arc::new(Json::Object(properties)), ..*self }
    }

    /// An entry that stands in no file.
    pub(super) fn made(id: NodeId, kind: NodeKind, properties: JsonMap<String, Json>) -> Self {
        FlowNode { id, kind, instance: false, json: Arc::new(Json::Object(properties)) }
    }

    pub fn id(&self) -> &NodeId {
        &self.id
    }

    pub fn kind(&self) -> NodeKind {
        self.kind
    }

    /// The node type, such as `mqtt in`.
    pub fn type_name(&self) -> &str {
        self.text("type")
    }

    /// The name the user gave, possibly empty. Tabs keep theirs in `label`.
    pub fn name(&self) -> &str {
        if self.kind == NodeKind::Tab { self.text("label") } else { self.text("name") }
    }

    /// For an instance of a subflow: the id of the definition.
    pub fn definition(&self) -> Option<&str> {
        if self.instance { self.type_name().strip_prefix(INSTANCE) } else { None }
    }

    /// Id of the flow or subflow it stands on.
    pub fn flow(&self) -> Option<&str> {
        self.get("z").and_then(Json::as_str).filter(|z| !z.is_empty())
    }

    /// Id of the group it is in.
    pub fn group(&self) -> Option<&str> {
        self.get("g").and_then(Json::as_str).filter(|g| !g.is_empty())
    }

    /// Switched off by the user (`d` on nodes and groups, `disabled` on tabs).
    pub fn is_disabled(&self) -> bool {
        let flag = if self.kind == NodeKind::Tab { "disabled" } else { "d" };
        self.get(flag).and_then(Json::as_bool).unwrap_or(false)
    }

    /// Targets per output port. Entries that are no text are left out.
    pub fn wires(&self) -> Vec<Vec<NodeId>> {
        let ports = self.get("wires").and_then(Json::as_array);
        ports
            .into_iter()
            .flatten()
            .map(|port| port.as_array().into_iter().flatten().filter_map(Json::as_str).map(NodeId::from).collect())
            .collect()
    }

    /// Texts among its properties that may be the id of another entry, such as a config node it uses.
    pub fn references(&self) -> impl Iterator<Item = &str> {
        let usable = |key: &str| !matches!(key, "id" | "z" | "g" | "type" | "name" | "label" | "info");
        self.properties().iter().filter(move |(key, _)| usable(key)).filter_map(|(_, value)| value.as_str())
    }

    pub fn properties(&self) -> &JsonMap<String, Json> {
        static NONE: LazyLock<JsonMap<String, Json>> = LazyLock::new(JsonMap::new);
        self.json.as_object().unwrap_or(&NONE)
    }

    /// The properties as a JSON object, to be held on to without a copy.
    pub fn json(&self) -> &Arc<Json> {
        &self.json
    }

    pub fn get(&self, key: &str) -> Option<&Json> {
        self.properties().get(key)
    }

    fn text(&self, key: &str) -> &str {
        self.get(key).and_then(Json::as_str).unwrap_or("")
    }
}

impl FlowDocument {
    /// Reads the text of a flow file.
    ///
    /// # Errors
    /// Not JSON (with line and column), or not a list of nodes.
    pub fn parse(text: &str) -> Result<Self, DocumentError> {
        // Editors on Windows like to put a byte order mark in front.
        let text = text.trim_start_matches('\u{feff}');
        let json = serde_json::from_str(text).map_err(|error| DocumentError::NotJson(error.to_string()))?;
        Self::from_json(json)
    }

    /// Reads a flow file that is JSON already: the bare array, or an object with `flows`.
    ///
    /// # Errors
    /// When this is no list of nodes.
    pub fn from_json(json: Json) -> Result<Self, DocumentError> {
        let items = match json {
            Json::Array(items) => items,
            Json::Object(mut map) => match map.remove("flows") {
                Some(Json::Array(items)) => items,
                Some(_) => return Err(DocumentError::NotFlows("an object whose \"flows\" is no array")),
                None => return Err(DocumentError::NotFlows("an object without \"flows\"")),
            },
            Json::String(_) => return Err(DocumentError::NotFlows("a text")),
            Json::Number(_) => return Err(DocumentError::NotFlows("a number")),
            Json::Bool(_) => return Err(DocumentError::NotFlows("true or false")),
            Json::Null => return Err(DocumentError::NotFlows("null")),
        };
        let mut nodes = Vec::with_capacity(items.len());
        let mut by_id = HashMap::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            let node = FlowNode::read(index, item)?;
            if let Some(first) = by_id.insert(node.id.clone(), index) {
                let reason = format!("id \"{}\" is taken by entry {first} already; give one of them a new id", node.id);
                return Err(DocumentError::BadNode { index, reason });
            }
            nodes.push(node);
        }
        Ok(FlowDocument { nodes: Arc::new(nodes), by_id: Arc::new(by_id) })
    }

    /// A document of these entries, whose ids must differ; `by_id` says where each stands.
    pub(super) fn of(nodes: Vec<FlowNode>, by_id: HashMap<NodeId, usize>) -> Self {
        FlowDocument { nodes: Arc::new(nodes), by_id: Arc::new(by_id) }
    }

    /// The bare array, as it was read.
    pub fn to_json(&self) -> Json {
        Json::Array(self.nodes.iter().map(|node| Json::clone(&node.json)).collect())
    }

    pub fn nodes(&self) -> &[FlowNode] {
        &self.nodes
    }

    pub fn get(&self, id: &str) -> Option<&FlowNode> {
        self.nodes.get(self.index_of(id)?)
    }

    /// Where in [`FlowDocument::nodes`] an entry stands.
    pub fn index_of(&self, id: &str) -> Option<usize> {
        self.by_id.get(id).copied()
    }

    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Off itself, or in a group or on a flow that is off.
    pub fn is_disabled(&self, node: &FlowNode) -> bool {
        if node.is_disabled() || node.flow().and_then(|z| self.get(z)).is_some_and(FlowNode::is_disabled) {
            return true;
        }
        let mut group = node.group();
        // A cycle of groups would be a broken file; the depth limit keeps it from hanging us.
        for _ in 0..64 {
            match group.and_then(|g| self.get(g)) {
                None => return false,
                Some(frame) if frame.is_disabled() => return true,
                Some(frame) => group = frame.group(),
            }
        }
        false
    }

    /// Findings that need no knowledge of node types: dangling wires, missing flows. All are warnings; such a file runs.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for node in self.nodes.iter() {
            if let Some(z) = node.flow().filter(|z| self.get(z).is_none()) {
                problems.push(
                    Problem::warning("/z", format!("stands on flow \"{z}\", which is not in the file"))
                        .of(node.id.as_str()),
                );
            }
            if node.kind() == NodeKind::Subflow {
                problems.extend(super::expand::definition_problems(self, node));
            }
            for (port, targets) in node.wires().iter().enumerate() {
                for target in targets.iter().filter(|target| self.get(target.as_str()).is_none()) {
                    let text = format!("output {} is wired to \"{target}\", which is not in the file", port + 1);
                    problems.push(Problem::warning(format!("/wires/{port}"), text).of(node.id.as_str()));
                }
            }
        }
        problems
    }
}

impl Serialize for FlowDocument {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.nodes.iter().map(|node| &node.json))
    }
}

impl<'de> Deserialize<'de> for FlowDocument {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        FlowDocument::from_json(Json::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const FILE: &str = r#"[{"id":"t","type":"tab","label":"A","disabled":false},
        {"id":"b","type":"mqtt-broker","broker":"localhost","port":"1883"},
        {"id":"n","type":"from the future","z":"t","x":1,"y":2,"wires":[["m","gone"]],"odd":{"z":1,"a":[1.50]}},
        {"id":"m","type":"debug","z":"t","wires":[],"d":true}]"#;

    #[test]
    fn nothing_is_lost_on_the_way_in_and_out() {
        let before: Json = serde_json::from_str(FILE).unwrap();
        let document = FlowDocument::parse(FILE).unwrap();
        assert_eq!(document.to_json().to_string(), before.to_string());
        assert_eq!(serde_json::to_string(&document).unwrap(), before.to_string());
    }

    #[test]
    fn kinds_and_switches_are_understood() {
        let document = FlowDocument::parse(FILE).unwrap();
        let kinds: Vec<_> = document.nodes().iter().map(FlowNode::kind).collect();
        assert_eq!(kinds, [NodeKind::Tab, NodeKind::Config, NodeKind::Node, NodeKind::Node]);
        assert!(document.is_disabled(document.get("m").unwrap()));
        assert_eq!(document.problems().len(), 1);
        let subflow = r#"[{"id":"s","type":"subflow","in":[{"wires":[{"id":"gone"}]}],
            "out":[{"wires":[{"id":"a","port":0},{"id":"s","port":0}]}]},{"id":"a","type":"x","z":"s","wires":[]}]"#;
        let paths: Vec<_> = FlowDocument::parse(subflow).unwrap().problems().into_iter().map(|p| p.path).collect();
        assert_eq!(paths, ["/in/0"]);
    }

    #[test]
    fn a_broken_file_says_what_is_wrong() {
        assert!(FlowDocument::parse("[{]").unwrap_err().to_string().contains("line 1 column 3"));
        assert!(FlowDocument::parse("{}").unwrap_err().to_string().contains("without \"flows\""));
        let twice = r#"[{"id":"a","type":"x"},{"id":"a","type":"y"}]"#;
        assert!(FlowDocument::parse(twice).unwrap_err().to_string().contains("entry 0 already"));
    }
}
