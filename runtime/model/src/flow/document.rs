//! A flow file, read and written without losing a property, an order or an unknown node.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::{FlowNode, NodeKind};
use crate::id::NodeId;
use crate::problem::Problem;

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
            let node =
                FlowNode::read(item).map_err(|reason| DocumentError::BadNode { index, reason: reason.to_owned() })?;
            if let Some(first) = by_id.insert(node.id().clone(), index) {
                let reason =
                    format!("id \"{}\" is taken by entry {first} already; give one of them a new id", node.id());
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
        Json::Array(self.nodes.iter().map(|node| Json::clone(node.json())).collect())
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
                        .of(node.id().as_str()),
                );
            }
            if node.kind() == NodeKind::Subflow {
                problems.extend(super::expand::definition_problems(self, node));
            }
            for (port, targets) in node.wires().iter().enumerate() {
                for target in targets.iter().filter(|target| self.get(target.as_str()).is_none()) {
                    let text = format!("output {} is wired to \"{target}\", which is not in the file", port + 1);
                    problems.push(Problem::warning(format!("/wires/{port}"), text).of(node.id().as_str()));
                }
            }
        }
        problems
    }
}

impl Serialize for FlowDocument {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.nodes.iter().map(|node| node.json()))
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
