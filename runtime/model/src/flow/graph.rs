//! The wiring of a flow file as a petgraph graph: who feeds whom, and which wires close a loop.

use std::collections::{HashMap, HashSet};

use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;

use super::{FlowDocument, FlowNode, NodeKind};
use crate::id::NodeId;

/// One wire: from an output port to a node.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Wire {
    pub from: NodeId,
    pub port: usize,
    pub to: NodeId,
}

/// The loops of a flow file: sets of nodes of which each can be reached from each.
#[derive(Debug, Default)]
pub struct Loops {
    /// Wires that close a loop: they lead back, in depth-first order, within a strongly connected component.
    /// The engine never lets a sender wait on one of them, so a loop cannot block itself.
    pub feedback: HashSet<Wire>,
    /// Nodes in loops, and the number of their loop.
    pub members: HashMap<NodeId, usize>,
    pub count: usize,
}

/// Wires between the nodes of a document. Dangling wires are not in it.
#[derive(Debug, Default)]
pub struct FlowGraph {
    document: FlowDocument,
    graph: DiGraph<NodeId, usize>,
    /// By the node's place in the document.
    index: Vec<Option<NodeIndex>>,
}

impl FlowGraph {
    /// The graph of all nodes with wires.
    pub fn of(document: &FlowDocument) -> Self {
        let nodes = document.nodes();
        let mut graph = DiGraph::with_capacity(nodes.len(), nodes.len());
        let wired = |node: &FlowNode| node.kind() == NodeKind::Node;
        let index: Vec<Option<NodeIndex>> =
            nodes.iter().map(|node| wired(node).then(|| graph.add_node(node.id().clone()))).collect();
        let at = |id: &str| document.index_of(id).and_then(|place| index.get(place).copied().flatten());
        for (node, &from) in nodes.iter().zip(&index) {
            let Some(from) = from else { continue };
            for (port, target) in node.targets() {
                if let Some(to) = at(target) {
                    graph.add_edge(from, to, port);
                }
            }
        }
        FlowGraph { document: document.clone(), graph, index }
    }

    fn index_of(&self, id: &NodeId) -> Option<NodeIndex> {
        self.index.get(self.document.index_of(id.as_str())?).copied().flatten()
    }

    /// All loops, and the wires that close them.
    pub fn loops(&self) -> Loops {
        let mut loops = Loops::default();
        for component in tarjan_scc(&self.graph) {
            if component.len() == 1 && component.iter().all(|&node| self.graph.find_edge(node, node).is_none()) {
                continue;
            }
            let members: HashSet<NodeIndex> = component.iter().copied().collect();
            let Some(entry) = self.entry_of(&component, &members) else { continue };
            self.mark_back_edges(entry, &members, &mut loops.feedback);
            let number = loops.count;
            let ids = component.iter().filter_map(|index| self.graph.node_weight(*index));
            loops.members.extend(ids.map(|id| (id.clone(), number)));
            loops.count += 1;
        }
        loops
    }

    /// Node of a loop that is reached from outside first, by file order.
    fn entry_of(&self, component: &[NodeIndex], members: &HashSet<NodeIndex>) -> Option<NodeIndex> {
        let fed_from_outside = |&node: &NodeIndex| {
            self.graph.neighbors_directed(node, petgraph::Incoming).any(|source| !members.contains(&source))
        };
        component.iter().copied().filter(fed_from_outside).min().or_else(|| component.iter().copied().min())
    }

    fn mark_back_edges(&self, entry: NodeIndex, members: &HashSet<NodeIndex>, feedback: &mut HashSet<Wire>) {
        let (mut on_path, mut seen) = (HashSet::new(), HashSet::new());
        // Explicit stack: a chain of ten thousand nodes must not end the process.
        let mut stack = vec![(entry, false)];
        while let Some((node, leaving)) = stack.pop() {
            if leaving {
                on_path.remove(&node);
                continue;
            }
            if !seen.insert(node) {
                continue;
            }
            on_path.insert(node);
            stack.push((node, true));
            for edge in self.graph.edges(node).filter(|edge| members.contains(&edge.target())) {
                let target = edge.target();
                if on_path.contains(&target) {
                    if let (Some(from), Some(to)) = (self.graph.node_weight(node), self.graph.node_weight(target)) {
                        feedback.insert(Wire { from: from.clone(), port: *edge.weight(), to: to.clone() });
                    }
                } else if !seen.contains(&target) {
                    stack.push((target, false));
                }
            }
        }
    }

    /// These nodes and all that wires connect with them, in either direction and over any distance.
    pub fn connected(&self, nodes: &HashSet<NodeId>) -> HashSet<NodeId> {
        let mut todo: Vec<NodeIndex> = nodes.iter().filter_map(|id| self.index_of(id)).collect();
        let mut seen: HashSet<NodeIndex> = todo.iter().copied().collect();
        while let Some(node) = todo.pop() {
            todo.extend(self.graph.neighbors_undirected(node).filter(|&next| seen.insert(next)));
        }
        seen.into_iter().filter_map(|index| self.graph.node_weight(index).cloned()).collect()
    }

    /// Nodes ordered so that targets come before their sources as far as loops allow: the order to start in.
    pub fn sinks_first(&self) -> Vec<NodeId> {
        tarjan_scc(&self.graph)
            .into_iter()
            .flatten()
            .filter_map(|index| self.graph.node_weight(index).cloned())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn graph(wires: &[(&str, &[&str])]) -> FlowGraph {
        let nodes: Vec<_> =
            wires.iter().map(|(id, targets)| serde_json::json!({"id": id, "type": "x", "wires": [targets]})).collect();
        FlowGraph::of(&FlowDocument::from_json(nodes.into()).unwrap())
    }

    #[test]
    fn only_the_wire_back_is_feedback() {
        let flow = graph(&[("in", &["a"]), ("a", &["b"]), ("b", &["c", "out"]), ("c", &["a"]), ("out", &[])]);
        let wires: Vec<_> = flow.loops().feedback.into_iter().collect();
        assert_eq!(wires, [Wire { from: "c".into(), port: 0, to: "a".into() }]);
    }

    #[test]
    fn a_node_wired_to_itself_is_a_loop_and_a_diamond_is_none() {
        assert_eq!(graph(&[("a", &["a"])]).loops().feedback.len(), 1);
        assert!(graph(&[("a", &["b", "c"]), ("b", &["d"]), ("c", &["d"]), ("d", &[])]).loops().feedback.is_empty());
    }

    #[test]
    fn what_is_connected_is_found_over_any_distance_and_direction() {
        let flow = graph(&[("a", &["b"]), ("b", &["c"]), ("c", &[]), ("x", &["c"]), ("lone", &[])]);
        let mut found: Vec<_> = flow.connected(&HashSet::from(["c".into()])).into_iter().collect();
        found.sort();
        assert_eq!(found, ["a", "b", "c", "x"].map(NodeId::from));
    }

    #[test]
    fn sinks_start_before_sources() {
        let order = graph(&[("in", &["mid"]), ("mid", &["out"]), ("out", &[])]).sinks_first();
        assert_eq!(order, [NodeId::from("out"), "mid".into(), "in".into()]);
    }
}
