//! One entry of a flow file.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, LazyLock};

use serde_json::{Map as JsonMap, Value as Json};

use crate::id::NodeId;

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
    disabled: bool,
    flow: Option<NodeId>,
    group: Option<NodeId>,
    /// Hash of the properties and their order: entries with the same one are the same.
    print: u64,
    /// Invariant: a JSON object.
    json: Arc<Json>,
}

/// What [`FlowNode::type_name`] of a subflow's instance begins with.
const INSTANCE: &str = "subflow:";

impl FlowNode {
    /// Reads an entry, or says why it is none.
    pub(super) fn read(json: Json) -> Result<Self, &'static str> {
        let Json::Object(properties) = &json else { return Err("a node must be a JSON object") };
        let text = |key: &str| properties.get(key).and_then(Json::as_str).filter(|text| !text.is_empty());
        let id = NodeId::new(text("id").ok_or("the node has no \"id\" (a non-empty text)")?);
        let type_name = text("type").ok_or("the node has no \"type\" (a non-empty text)")?;
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
        let flag = if kind == NodeKind::Tab { "disabled" } else { "d" };
        let disabled = properties.get(flag).and_then(Json::as_bool).unwrap_or(false);
        let (flow, group) = (text("z").map(NodeId::from), text("g").map(NodeId::from));
        let mut hasher = DefaultHasher::new();
        hash(&json, &mut hasher);
        Ok(FlowNode { id, kind, instance, disabled, flow, group, print: hasher.finish(), json: Arc::new(json) })
    }

    /// The same entry with other properties. They must be those of an entry; else it stays as it is.
    pub(super) fn with(&self, properties: JsonMap<String, Json>) -> Self {
        FlowNode::read(Json::Object(properties)).unwrap_or_else(|_| self.clone())
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
        self.flow.as_ref().map(NodeId::as_str)
    }

    /// Id of the group it is in.
    pub fn group(&self) -> Option<&str> {
        self.group.as_ref().map(NodeId::as_str)
    }

    /// Switched off by the user (`d` on nodes and groups, `disabled` on tabs).
    pub fn is_disabled(&self) -> bool {
        self.disabled
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

    /// The same wires one by one, without copies: output port and target.
    pub fn targets(&self) -> impl Iterator<Item = (usize, &str)> {
        let ports = self.get("wires").and_then(Json::as_array).into_iter().flatten().enumerate();
        ports.flat_map(|(port, targets)| {
            targets.as_array().into_iter().flatten().filter_map(Json::as_str).map(move |target| (port, target))
        })
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

    /// Both have the same properties in the same order.
    pub(super) fn is_same(&self, other: &FlowNode) -> bool {
        self.print == other.print
    }

    fn text(&self, key: &str) -> &str {
        self.get(key).and_then(Json::as_str).unwrap_or("")
    }
}

/// Feeds a value to a hasher so that no two different ones feed it the same.
fn hash(json: &Json, hasher: &mut DefaultHasher) {
    match json {
        Json::Null => 0_u8.hash(hasher),
        Json::Bool(truth) => (1_u8, truth).hash(hasher),
        Json::Number(number) => (2_u8, number).hash(hasher),
        Json::String(text) => (3_u8, text).hash(hasher),
        Json::Array(items) => {
            (4_u8, items.len()).hash(hasher);
            items.iter().for_each(|item| hash(item, hasher));
        }
        Json::Object(map) => {
            (5_u8, map.len()).hash(hasher);
            for (key, value) in map {
                key.hash(hasher);
                hash(value, hasher);
            }
        }
    }
}
