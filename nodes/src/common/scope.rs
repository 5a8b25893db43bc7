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

/// The scope without the nodes that the listener itself is wired to: they would hear themselves for ever.
pub(super) fn without_targets(scope: Scope, wires: &[Vec<NodeId>]) -> Scope {
    match scope {
        Scope::Nodes(mut ids) => {
            ids.retain(|id| !wires.iter().flatten().any(|target| target == id));
            Scope::Nodes(ids)
        }
        other => other,
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

    #[test]
    fn nobody_hears_what_it_is_wired_to() {
        let heard = without_targets(of(&json!(["a", "b"])), &[vec!["b".into()]]);
        assert_eq!(heard, Scope::Nodes(vec!["a".into()]));
        assert_eq!(without_targets(Scope::Flow, &[vec!["b".into()]]), Scope::Flow);
    }
}
