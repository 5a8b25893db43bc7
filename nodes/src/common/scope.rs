//! Which nodes a catch, status or complete node hears, as flow files write it.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};
use serde_json::Value as Json;
use tidewire_model::NodeId;
use tidewire_model::flow::Scope;

/// Reads `null` (all nodes of the flow), `"group"` (those of the node's group) or a list of node ids.
pub(super) fn of(scope: &Json) -> Scope {
    match scope {
        Json::Array(items) => Scope::Nodes(items.iter().filter_map(Json::as_str).map(NodeId::from).collect()),
        Json::String(word) if word == "group" => Scope::Group,
        _ => Scope::Flow,
    }
}

/// Schema of a scope.
pub(super) fn schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": ["null", "string", "array"],
        "items": { "type": "string" },
        "x-widget": "node-list",
        "x-node-scope": true
    })
}

/// A list of node ids; one id alone counts as a list of one, and nothing as an empty list.
///
/// # Errors
/// For anything else.
pub(super) fn ids<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<NodeId>, D::Error> {
    match Json::deserialize(deserializer)? {
        Json::Null => Ok(Vec::new()),
        Json::String(id) if id.is_empty() => Ok(Vec::new()),
        Json::String(id) => Ok(vec![NodeId::from(id.as_str())]),
        Json::Array(items) => Ok(items.iter().filter_map(Json::as_str).map(NodeId::from).collect()),
        other => Err(serde::de::Error::custom(format!("{other} is no list of nodes"))),
    }
}

/// Schema of [`ids`].
pub(super) fn ids_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["null", "string", "array"], "items": { "type": "string" }, "x-widget": "node-list" })
}

/// Which of the nodes `a` and `b` a listener of type `T` hears, with this configuration and these wires.
#[cfg(test)]
pub(super) fn heard<T: tidewire_node_api::NodeType>(
    what: tidewire_model::flow::What,
    listener: Json,
) -> Vec<&'static str> {
    use tidewire_model::flow::{Expanded, FlowDocument, Listeners};
    let def = tidewire_node_api::NodeDef::of::<T>();
    let mut entry = serde_json::json!({"id": "listener", "type": def.meta.name, "z": "t", "x": 1, "y": 1});
    if let (Json::Object(entry), Json::Object(listener)) = (&mut entry, listener) {
        entry.extend(listener);
    }
    let other = |id: &str| serde_json::json!({"id": id, "type": "x", "z": "t", "x": 1, "y": 1, "wires": []});
    let document = FlowDocument::from_json(Json::Array(vec![other("a"), other("b"), entry])).expect("a flow");
    let listens =
        |node: &tidewire_model::flow::FlowNode| (node.id().as_str() == "listener").then(|| def.listens(node.json()))?;
    let listeners = Listeners::of(&Expanded::of(&document, &|_| None), &listens);
    ["a", "b"].into_iter().filter(|id| !listeners.of_node(id, what).is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_scope_is_a_flow_a_group_or_a_list() {
        assert_eq!(of(&Json::Null), Scope::Flow);
        assert_eq!(of(&json!("group")), Scope::Group);
        assert_eq!(of(&json!(["a", "b"])), Scope::Nodes(vec!["a".into(), "b".into()]));
    }
}
