//! Links: wires that are not drawn, from an entry that sends out to entries that take in, across flows.

use std::collections::HashMap;

use super::{FlowDocument, FlowNode};
use crate::id::NodeId;

/// What an entry says of its links. Either end suffices to make one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    /// Messages come in here from these entries.
    In(Vec<NodeId>),
    /// Messages that arrive here go on to these entries.
    Out(Vec<NodeId>),
}

/// For every entry with [`Link::Out`]: all entries that it is linked to by either end, in the order of the file. Names
/// that lead to no end of a link are left out.
pub(super) fn targets(
    document: &FlowDocument,
    link_of: &dyn Fn(&FlowNode) -> Option<Link>,
) -> HashMap<NodeId, Vec<NodeId>> {
    let mut links = HashMap::new();
    let mut pairs = Vec::new();
    for node in document.nodes() {
        match link_of(node) {
            None => {}
            Some(Link::In(sources)) => {
                links.insert(node.id(), false);
                pairs.extend(sources.into_iter().map(|source| (source, node.id().clone())));
            }
            Some(Link::Out(targets)) => {
                links.insert(node.id(), true);
                pairs.extend(targets.into_iter().map(|target| (node.id().clone(), target)));
            }
        }
    }
    let outs = links.iter().filter(|(_, out)| **out);
    let mut wires: HashMap<NodeId, Vec<NodeId>> = outs.map(|(id, _)| (NodeId::clone(id), Vec::new())).collect();
    let mut seen = std::collections::HashSet::new();
    for (from, to) in pairs {
        let both_ends = links.get(&from) == Some(&true) && links.get(&to) == Some(&false);
        if both_ends && seen.insert((from.clone(), to.clone())) {
            wires.entry(from).or_default().push(to);
        }
    }
    wires
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::flow::Expanded;
    use serde_json::{Value as Json, json};

    /// Test entries say what they are in their type: `in` and `out`, with `links`.
    pub fn link_of(node: &FlowNode) -> Option<Link> {
        let links = || node.get("links").and_then(Json::as_array).into_iter().flatten();
        let ids = || links().filter_map(Json::as_str).map(NodeId::from).collect();
        match node.type_name() {
            "in" => Some(Link::In(ids())),
            "out" => Some(Link::Out(ids())),
            _ => None,
        }
    }

    fn wires(flow: Json, id: &str) -> Vec<Vec<NodeId>> {
        let document = FlowDocument::from_json(flow).unwrap();
        Expanded::of(&document, &link_of).running().get(id).unwrap().wires()
    }

    #[test]
    fn either_end_makes_a_link_and_both_make_one() {
        let flow = json!([
            {"id": "in1", "type": "in", "z": "t1", "links": ["out"], "wires": [[]]},
            {"id": "out", "type": "out", "z": "t2", "links": ["in2", "in1", "gone", "x"], "wires": []},
            {"id": "in2", "type": "in", "z": "t3", "links": [], "wires": [[]]},
            {"id": "in3", "type": "in", "z": "t3", "links": ["out", "x"], "wires": [[]]},
            {"id": "x", "type": "x", "wires": [["out"]]}]);
        assert_eq!(wires(flow.clone(), "out"), [["in1", "in2", "in3"].map(NodeId::from)]);
        assert_eq!(wires(flow, "x"), [["out"].map(NodeId::from)]);
    }

    #[test]
    fn links_inside_a_subflow_stay_inside_its_instance() {
        let flow = json!([
            {"id": "s", "type": "subflow", "in": [], "out": []},
            {"id": "a", "type": "out", "z": "s", "links": ["b", "outside"], "wires": []},
            {"id": "b", "type": "in", "z": "s", "links": ["a"], "wires": [[]]},
            {"id": "outside", "type": "in", "z": "t", "links": [], "wires": [[]]},
            {"id": "i", "type": "subflow:s", "z": "t", "wires": []}]);
        assert_eq!(wires(flow, "i-a"), [["i-b"].map(NodeId::from)]);
    }
}
