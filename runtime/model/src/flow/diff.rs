//! What changed between two flow documents, as a deploy has to treat it.

use serde::{Deserialize, Serialize};

use super::{FlowDocument, FlowNode, NodeKind};
use crate::id::NodeId;

/// Difference of two flow documents. Every node of either document is in exactly one list, or untouched.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct FlowDiff {
    #[schemars(with = "Vec<String>")]
    pub added: Vec<NodeId>,
    #[schemars(with = "Vec<String>")]
    pub removed: Vec<NodeId>,
    /// Behaves differently now: a property, its flow, its being switched off, or a config node it uses changed.
    #[schemars(with = "Vec<String>")]
    pub changed: Vec<NodeId>,
    /// Only its outgoing wires changed.
    #[schemars(with = "Vec<String>")]
    pub rewired: Vec<NodeId>,
    /// Only its looks changed: place, size, label, icon, group, documentation.
    #[schemars(with = "Vec<String>")]
    pub moved: Vec<NodeId>,
}

/// Properties that say how a node looks, not what it does.
const LOOKS: [&str; 12] =
    ["x", "y", "w", "h", "l", "g", "info", "icon", "inputLabels", "outputLabels", "style", "nodes"];

impl FlowDiff {
    /// Compares two documents.
    pub fn between(old: &FlowDocument, new: &FlowDocument) -> FlowDiff {
        let mut diff = FlowDiff::default();
        for node in new.nodes() {
            let Some(before) = old.get(node.id().as_str()) else {
                diff.added.push(node.id().clone());
                continue;
            };
            let switched = old.is_disabled(before) != new.is_disabled(node);
            match compare(before, node) {
                _ if switched => diff.changed.push(node.id().clone()),
                Change::None => {}
                Change::Behaviour => diff.changed.push(node.id().clone()),
                Change::Wires => diff.rewired.push(node.id().clone()),
                Change::Looks => diff.moved.push(node.id().clone()),
            }
        }
        diff.removed.extend(
            old.nodes().iter().filter(|node| new.get(node.id().as_str()).is_none()).map(|node| node.id().clone()),
        );
        diff.spread_config_changes(old, new);
        diff
    }

    /// Nothing at all changed.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty()
            && self.removed.is_empty()
            && self.changed.is_empty()
            && self.rewired.is_empty()
            && self.moved.is_empty()
    }

    /// Users of a changed, added or removed config node are changed themselves.
    fn spread_config_changes(&mut self, old: &FlowDocument, new: &FlowDocument) {
        let touched: Vec<&NodeId> = self.added.iter().chain(&self.removed).chain(&self.changed).collect();
        let is_config = |id: &NodeId| {
            let node = new.get(id.as_str()).or_else(|| old.get(id.as_str()));
            node.is_some_and(|node| node.kind() == NodeKind::Config)
        };
        let configs: std::collections::HashSet<&str> =
            touched.into_iter().filter(|id| is_config(id)).map(NodeId::as_str).collect();
        if configs.is_empty() {
            return;
        }
        let users: Vec<NodeId> = new
            .nodes()
            .iter()
            .filter(|node| !self.added.contains(node.id()) && !self.changed.contains(node.id()))
            .filter(|node| {
                node.properties()
                    .iter()
                    .any(|(key, value)| key != "id" && value.as_str().is_some_and(|text| configs.contains(text)))
            })
            .map(|node| node.id().clone())
            .collect();
        for list in [&mut self.rewired, &mut self.moved] {
            list.retain(|id| !users.contains(id));
        }
        self.changed.extend(users);
    }
}

enum Change {
    None,
    Looks,
    Wires,
    Behaviour,
}

fn compare(old: &FlowNode, new: &FlowNode) -> Change {
    let (mut looks, mut wires) = (false, false);
    let keys = old.properties().keys().chain(new.properties().keys().filter(|key| old.get(key).is_none()));
    for key in keys {
        if old.get(key) == new.get(key) {
            continue;
        }
        match key.as_str() {
            "wires" => wires = true,
            key if LOOKS.contains(&key) && !(key == "info" && new.kind() == NodeKind::Config) => looks = true,
            _ => return Change::Behaviour,
        }
    }
    match (wires, looks) {
        (true, _) => Change::Wires,
        (false, true) => Change::Looks,
        (false, false) => Change::None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn document(json: serde_json::Value) -> FlowDocument {
        FlowDocument::from_json(json).unwrap()
    }

    #[test]
    fn each_kind_of_change_is_told_apart() {
        let old = document(json!([
            {"id": "a", "type": "x", "x": 1, "y": 1, "wires": [["b"]]},
            {"id": "b", "type": "x", "x": 1, "y": 1, "wires": [["c"]]},
            {"id": "c", "type": "x", "x": 1, "y": 1, "v": 1, "wires": []},
            {"id": "d", "type": "x", "x": 1, "y": 1, "wires": []},
            {"id": "e", "type": "x", "x": 1, "y": 1, "wires": []}]));
        let new = document(json!([
            {"id": "a", "type": "x", "x": 9, "y": 1, "wires": [["b"]]},
            {"id": "b", "type": "x", "x": 1, "y": 1, "wires": [["e"]]},
            {"id": "c", "type": "x", "x": 1, "y": 1, "v": 2, "wires": []},
            {"id": "e", "type": "x", "x": 1, "y": 1, "wires": []},
            {"id": "f", "type": "x", "x": 1, "y": 1, "wires": []}]));
        let ids = |ids: &[&str]| ids.iter().map(|id| NodeId::from(*id)).collect::<Vec<_>>();
        let expected = FlowDiff {
            added: ids(&["f"]),
            removed: ids(&["d"]),
            changed: ids(&["c"]),
            rewired: ids(&["b"]),
            moved: ids(&["a"]),
        };
        assert_eq!(FlowDiff::between(&old, &new), expected);
        assert!(FlowDiff::between(&old, &old).is_empty());
    }

    #[test]
    fn users_of_a_changed_config_node_are_changed() {
        let with_port = |port: &str| {
            document(json!([
                {"id": "broker", "type": "mqtt-broker", "port": port},
                {"id": "in", "type": "mqtt in", "broker": "broker", "x": 1, "y": 1, "wires": []},
                {"id": "other", "type": "debug", "x": 1, "y": 1, "wires": []}]))
        };
        let diff = FlowDiff::between(&with_port("1883"), &with_port("1884"));
        assert_eq!(diff.changed, [NodeId::from("broker"), "in".into()]);
    }

    #[test]
    fn switching_a_flow_off_changes_its_nodes() {
        let with = |disabled: bool| {
            document(json!([{"id": "t", "type": "tab", "disabled": disabled},
                {"id": "n", "type": "x", "z": "t", "x": 1, "y": 1, "wires": []}]))
        };
        assert_eq!(FlowDiff::between(&with(false), &with(true)).changed, [NodeId::from("t"), "n".into()]);
    }
}
