//! All node types of this binary, looked up by name.

use std::collections::HashMap;

use serde_json::Value as Json;
use tidewire_model::Problem;
use tidewire_model::flow::{FlowDocument, FlowNode};

use crate::error::BuildError;
use crate::node::Node;
use crate::node_type::{BuildEnv, NodeDef};
use crate::schema::Validator;

struct Entry {
    def: NodeDef,
    validator: Validator,
}

/// Node types by name, their schemas compiled once.
pub struct Registry {
    entries: HashMap<&'static str, Entry>,
    order: Vec<&'static str>,
}

impl Registry {
    /// # Errors
    /// A type that stands twice in the list, or a schema that does not compile: defects of the node set.
    pub fn new(defs: &[NodeDef]) -> Result<Self, String> {
        let mut registry = Registry { entries: HashMap::new(), order: Vec::new() };
        for def in defs {
            let name = def.meta.name;
            let validator = Validator::new(&def.schema()).map_err(|error| format!("schema of {name}: {error}"))?;
            if registry.entries.insert(name, Entry { def: *def, validator }).is_some() {
                return Err(format!("node type {name} stands twice in the list"));
            }
            registry.order.push(name);
        }
        Ok(registry)
    }

    pub fn get(&self, type_name: &str) -> Option<&NodeDef> {
        self.entries.get(type_name).map(|entry| &entry.def)
    }

    /// All types, in the order of the list.
    pub fn iter(&self) -> impl Iterator<Item = &NodeDef> {
        self.order.iter().filter_map(|name| self.get(name))
    }

    /// Findings in one node's configuration; none for a type that is not known here.
    pub fn check(&self, type_name: &str, config: &Json) -> Vec<Problem> {
        let Some(entry) = self.entries.get(type_name) else { return Vec::new() };
        let problems = entry.validator.problems(config);
        if problems.is_empty() { entry.def.check(config) } else { problems }
    }

    /// Builds one node, after checking its configuration.
    ///
    /// # Errors
    /// All findings, or that the type is not known.
    pub fn build(&self, type_name: &str, config: &Json, env: &BuildEnv) -> Result<Box<dyn Node>, BuildError> {
        let Some(entry) = self.entries.get(type_name) else {
            return Err(BuildError::at("/type", format!("node type \"{type_name}\" is not known here")));
        };
        let problems = self.check(type_name, config);
        if problems.iter().any(|problem| problem.severity == tidewire_model::Severity::Error) {
            return Err(BuildError(problems));
        }
        entry.def.build(config, env)
    }

    /// Findings in a whole document: the document's own, each node's, and types that are not known.
    pub fn check_document(&self, document: &FlowDocument) -> Vec<Problem> {
        let mut problems = document.problems();
        for node in document.nodes() {
            problems.extend(self.check_node(document, node));
        }
        problems
    }

    fn check_node(&self, document: &FlowDocument, node: &FlowNode) -> Vec<Problem> {
        use tidewire_model::flow::NodeKind::{Config, Node};
        if !matches!(node.kind(), Config | Node) || document.is_disabled(node) {
            return Vec::new();
        }
        let type_name = node.type_name();
        if type_name.starts_with("subflow:") {
            return Vec::new();
        }
        if self.get(type_name).is_none() {
            let text =
                format!("node type \"{type_name}\" is not known here; the node is kept as it is and does nothing");
            return vec![Problem::warning("/type", text).of(node.id().as_str())];
        }
        self.check(type_name, node.json()).into_iter().map(|problem| problem.of(node.id().as_str())).collect()
    }
}
