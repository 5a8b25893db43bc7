//! What changed between two flow documents, as a deploy has to treat it.

mod variables;

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::{Expanded, FlowDocument, FlowNode, NodeKind, Part};
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
    /// Compares two documents as they are written, for people: each entry of the file by itself.
    pub fn between(old: &FlowDocument, new: &FlowDocument) -> FlowDiff {
        FlowDiff::with(old, new, |_| false)
    }

    /// Compares what runs, for the engine. Beyond the properties of the entries, a node is changed when a variable is
    /// that is defined around it: by its groups, the instances it stands in and their definitions, its flow, or for all
    /// flows. An edit of a subflow shows in the clones it concerns.
    pub fn running(old: &Expanded, new: &Expanded) -> FlowDiff {
        let mut variables = variables::Changes::between(old, new);
        FlowDiff::with(old.running(), new.running(), |node| {
            let id = node.id().as_str();
            let broken = |expanded: &Expanded| matches!(expanded.part(id), Some(Part::Broken(_)));
            (node.definition().is_some() && broken(old) != broken(new)) || variables.concern(id)
        })
    }

    /// `also` names entries of both documents that are changed although their properties may not be.
    fn with(old: &FlowDocument, new: &FlowDocument, mut also: impl FnMut(&FlowNode) -> bool) -> FlowDiff {
        let mut diff = FlowDiff::default();
        let switched = switched_frames(old, new);
        for (place, node) in new.nodes().iter().enumerate() {
            // Most nodes stand where they stood; only the others have to be looked up.
            let there = old.nodes().get(place).filter(|before| before.id() == node.id());
            let Some(before) = there.or_else(|| old.get(node.id().as_str())) else {
                diff.added.push(node.id().clone());
                continue;
            };
            let list = match compare(before, node) {
                Change::Behaviour => Some(&mut diff.changed),
                // Whether it is off depends on its frames; those are looked at only where one of them changed.
                _ if (switched || before.group() != node.group())
                    && old.is_disabled(before) != new.is_disabled(node) =>
                {
                    Some(&mut diff.changed)
                }
                _ if also(node) => Some(&mut diff.changed),
                Change::None => None,
                Change::Wires => Some(&mut diff.rewired),
                Change::Looks => Some(&mut diff.moved),
            };
            if let Some(list) = list {
                list.push(node.id().clone());
            }
        }
        let same_number = old.nodes().len() + diff.added.len() == new.nodes().len();
        let gone = |node: &&FlowNode| !same_number && new.get(node.id().as_str()).is_none();
        diff.removed.extend(old.nodes().iter().filter(gone).map(|node| node.id().clone()));
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

    /// Users of a changed, added or removed config node are changed themselves, and so are the users of those that are
    /// config nodes.
    fn spread_config_changes(&mut self, old: &FlowDocument, new: &FlowDocument) {
        let is_config = |id: &NodeId| {
            let node = new.get(id.as_str()).or_else(|| old.get(id.as_str()));
            node.is_some_and(|node| node.kind() == NodeKind::Config)
        };
        let touched = self.added.iter().chain(&self.removed).chain(&self.changed);
        let mut configs: HashSet<NodeId> = touched.filter(|id| is_config(id)).cloned().collect();
        if configs.is_empty() {
            return;
        }
        let mut done: HashSet<NodeId> = self.added.iter().chain(&self.changed).cloned().collect();
        let mut users = Vec::new();
        while !configs.is_empty() {
            let mut next = HashSet::new();
            for node in new.nodes().iter().filter(|node| !done.contains(node.id())) {
                if node.references().any(|name| configs.contains(name)) {
                    users.push(node.id().clone());
                    if node.kind() == NodeKind::Config {
                        next.insert(node.id().clone());
                    }
                }
            }
            done.extend(users.iter().cloned());
            configs = next;
        }
        let known: HashSet<&NodeId> = users.iter().collect();
        for list in [&mut self.rewired, &mut self.moved] {
            list.retain(|id| !known.contains(id));
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
    if old.is_same(new) {
        return Change::None;
    }
    let (before, after) = (old.properties(), new.properties());
    let (mut looks, mut wires) = (false, false);
    let keys = before.keys().chain(after.keys().filter(|key| old.get(key).is_none()));
    for key in keys {
        if old.get(key) == new.get(key) {
            continue;
        }
        match key.as_str() {
            // Limits and policies belong to the wires: the node itself behaves as before.
            "wires" | "wirePolicies" | "inbox" => wires = true,
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

/// Whether any flow or group was switched on or off, or put into another frame, and nodes in it perhaps with it.
fn switched_frames(old: &FlowDocument, new: &FlowDocument) -> bool {
    let frame = |node: &&FlowNode| !matches!(node.kind(), NodeKind::Node | NodeKind::Config);
    let same = |node: &FlowNode| {
        old.get(node.id().as_str())
            .is_some_and(|before| before.is_disabled() == node.is_disabled() && before.group() == node.group())
    };
    new.nodes().iter().filter(frame).any(|node| !same(node))
        || old.nodes().iter().filter(frame).any(|node| new.get(node.id().as_str()).is_none())
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

    #[test]
    fn config_nodes_that_use_a_changed_one_change_their_users_too() {
        let with_key = |key: &str| {
            document(json!([
                {"id": "in", "type": "mqtt in", "broker": "b", "x": 1, "y": 1, "wires": []},
                {"id": "b", "type": "mqtt-broker", "tls": "c"}, {"id": "c", "type": "tls-config", "key": key}]))
        };
        let diff = FlowDiff::between(&with_key("1"), &with_key("2"));
        assert_eq!(diff.changed, ["c", "b", "in"].map(NodeId::from));
    }

    /// Every part of a house that variables, wires and switches can be changed in.
    fn house() -> serde_json::Value {
        json!([
            {"id": "t", "type": "tab", "env": []},
            {"id": "u", "type": "tab"},
            {"id": "g", "type": "group", "z": "t"},
            {"id": "h", "type": "group", "z": "t", "g": "g"},
            {"id": "s", "type": "subflow", "in": [{"wires": [{"id": "n"}]}], "out": [{"wires": [{"id": "n", "port": 0}]}]},
            {"id": "n", "type": "x", "z": "s", "v": 1, "wires": [["m"]]},
            {"id": "m", "type": "x", "z": "s", "wires": [[]]},
            {"id": "i", "type": "subflow:s", "z": "t", "g": "h", "wires": [["a"]]},
            {"id": "j", "type": "subflow:s", "z": "u", "wires": [[]]},
            {"id": "a", "type": "x", "z": "t", "wires": []},
            {"id": "b", "type": "x", "z": "u", "wires": []},
            {"id": "all", "type": "global-config", "env": []}])
    }

    #[test]
    fn a_change_reaches_what_runs_by_it_and_nothing_else() {
        let env = json!([{"name": "K", "type": "str", "value": "1"}]);
        // Entry, property, new value; then what is changed and what is rewired.
        let cases = [
            ("n", "v", json!(2), "i-n j-n", ""),
            ("n", "wires", json!([[]]), "", "i-n j-n"),
            ("n", "x", json!(7), "", ""),
            ("i", "wires", json!([["a"], ["a"]]), "", ""),
            ("i", "wires", json!([[]]), "", "i-n"),
            ("s", "in", json!([{"wires": [{"id": "m"}]}]), "", "i j"),
            ("s", "out", json!([{"wires": [{"id": "m", "port": 0}]}]), "", "i-n i-m"),
            ("s", "name", json!("Other"), "", ""),
            ("s", "env", env.clone(), "i-n i-m j-n j-m", ""),
            ("i", "env", env.clone(), "i i-n i-m", ""),
            ("j", "d", json!(true), "j", ""),
            ("t", "env", env.clone(), "t i i-n i-m a g h", ""),
            ("g", "env", env.clone(), "g i i-n i-m h", ""),
            ("g", "name", json!("Group"), "g", ""),
            ("u", "label", json!("Tab"), "u", ""),
            ("h", "g", json!(""), "", ""),
            ("i", "g", json!("g"), "", ""),
            ("a", "g", json!("h"), "", ""),
            ("all", "env", env.clone(), "all t u g h i i-n i-m j j-n j-m a b", ""),
            ("h", "d", json!(true), "h i", ""),
            ("u", "disabled", json!(true), "u j b", ""),
        ];
        let expanded = |flow| Expanded::of(&document(flow), &|_| None);
        let names = |text: &str| {
            let mut names: Vec<NodeId> = text.split_whitespace().map(NodeId::from).collect();
            names.sort();
            names
        };
        let sorted = |mut ids: Vec<NodeId>| {
            ids.sort();
            ids
        };
        for (entry, property, value, changed, rewired) in cases {
            let mut flow = house();
            let node = flow.as_array_mut().unwrap().iter_mut().find(|node| node.get("id") == Some(&json!(entry)));
            node.unwrap().as_object_mut().unwrap().insert(property.into(), value.clone());
            let diff = FlowDiff::running(&expanded(house()), &expanded(flow));
            let told = format!("{entry}.{property} = {value}");
            assert_eq!((sorted(diff.changed), sorted(diff.rewired)), (names(changed), names(rewired)), "{told}");
        }
    }

    #[test]
    fn a_node_that_moves_among_variables_is_changed() {
        let with = |group: &str, outer: &str| {
            Expanded::of(
                &document(json!([
                    {"id": "g", "type": "group", "g": outer, "env": [{"name": "K", "type": "str", "value": "1"}]},
                    {"id": "h", "type": "group"}, {"id": "inner", "type": "group", "g": outer},
                    {"id": "n", "type": "x", "g": group, "wires": []}])),
                &|_| None,
            )
        };
        let changed = |old: Expanded, new: Expanded| FlowDiff::running(&old, &new).changed.contains(&"n".into());
        assert!(changed(with("h", ""), with("g", "")));
        assert!(changed(with("inner", "h"), with("inner", "g")));
        assert!(!changed(with("h", ""), with("", "")));
        assert!(!changed(with("g", ""), with("g", "h")));
    }

    #[test]
    fn an_instance_whose_definition_appears_is_changed() {
        let with = |definition: bool| {
            let mut flow = vec![json!({"id": "i", "type": "subflow:s", "wires": []})];
            flow.extend(definition.then(|| json!({"id": "s", "type": "subflow"})));
            Expanded::of(&document(flow.into()), &|_| None)
        };
        assert_eq!(FlowDiff::running(&with(false), &with(true)).changed, ["i".into()]);
    }
}
