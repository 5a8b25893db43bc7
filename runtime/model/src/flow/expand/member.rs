//! Clones of what stands in a subflow.

use serde_json::{Map as JsonMap, Value as Json};

use crate::flow::{FlowDocument, FlowNode};
use crate::id::NodeId;

/// Properties that are text for people and name no other entry, even where the text is somebody's id.
const PROSE: [&str; 4] = ["type", "name", "label", "info"];

/// One instance as its members see it: turns ids of the definition into ids of clones.
pub struct Remap<'a> {
    pub source: &'a FlowDocument,
    pub definition: &'a str,
    pub instance: &'a NodeId,
}

impl Remap<'_> {
    /// Id of the clone, if `id` names something in the definition.
    pub fn id(&self, id: &str) -> Option<NodeId> {
        let inner = self.source.get(id)?.flow() == Some(self.definition);
        inner.then(|| clone_id(self.instance, id))
    }

    /// Those of the ids that lie in the definition; wires never leave it.
    pub fn ids(&self, ids: &[NodeId]) -> Vec<NodeId> {
        ids.iter().filter_map(|id| self.id(id.as_str())).collect()
    }

    /// The clone of a member, with these wires if it has any.
    pub fn clone_of(&self, member: &FlowNode, wires: Option<&[Vec<NodeId>]>) -> FlowNode {
        let id = clone_id(self.instance, member.id().as_str());
        let mut properties = JsonMap::with_capacity(member.properties().len());
        for (key, value) in member.properties() {
            let value = match key.as_str() {
                "id" => Json::String(id.to_string()),
                "z" => Json::String(self.instance.to_string()),
                "wires" => continue,
                key if PROSE.contains(&key) => value.clone(),
                _ => self.value(value),
            };
            properties.insert(key.clone(), value);
        }
        if let Some(wires) = wires {
            properties.insert("wires".to_owned(), wires_json(wires));
        }
        member.with(properties)
    }

    /// A property: a text that names a member, or a list of such texts; anything else stays as it is.
    fn value(&self, value: &Json) -> Json {
        let text = |text: &str| self.id(text).map(|id| Json::String(id.to_string()));
        match value {
            Json::String(one) => text(one).unwrap_or_else(|| value.clone()),
            Json::Array(items) => {
                let item = |item: &Json| item.as_str().and_then(text).unwrap_or_else(|| item.clone());
                Json::Array(items.iter().map(item).collect())
            }
            other => other.clone(),
        }
    }
}

/// The same entry with other wires.
pub fn rewired(node: &FlowNode, wires: &[Vec<NodeId>]) -> FlowNode {
    let mut properties = node.properties().clone();
    properties.insert("wires".to_owned(), wires_json(wires));
    node.with(properties)
}

pub fn clone_id(instance: &NodeId, inner: &str) -> NodeId {
    NodeId::new(format!("{instance}-{inner}"))
}

fn wires_json(wires: &[Vec<NodeId>]) -> Json {
    let port = |port: &Vec<NodeId>| Json::Array(port.iter().map(|id| Json::String(id.to_string())).collect());
    Json::Array(wires.iter().map(port).collect())
}
