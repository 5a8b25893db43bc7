//! The work of unfolding: one entry of the source after the other, instances of subflows over a queue.

use std::collections::{HashMap, HashSet, VecDeque};

use petgraph::algo::tarjan_scc;
use petgraph::graph::DiGraph;
use serde_json::{Map as JsonMap, Value as Json};

use super::SUBFLOW_STATUS;
use super::definition::{Definition, Tap};
use super::member::{Remap, rewired};
use crate::flow::{FlowDocument, FlowNode, NodeKind};
use crate::id::NodeId;
use crate::problem::Problem;

/// Most running entries that unfolding makes: ten subflows of ten instances each inside one another would be more than
/// any machine holds.
const RUNNING_MAX: usize = 100_000;

/// Deepest nesting of subflows; each level makes the ids longer.
const DEPTH_MAX: usize = 32;

type Wires = HashMap<NodeId, Vec<NodeId>>;

/// See the module.
pub struct Unfolding<'a> {
    source: &'a FlowDocument,
    definitions: HashMap<&'a str, Definition<'a>>,
    /// Definitions that contain themselves.
    looped: HashSet<&'a str>,
    links: Wires,
    waiting: VecDeque<Waiting<'a>>,
    /// Number of members of the instances that wait.
    planned: usize,
    pub nodes: Vec<FlowNode>,
    pub by_id: HashMap<NodeId, usize>,
    pub aliases: HashMap<NodeId, NodeId>,
    pub problems: Vec<Problem>,
    pub broken: HashSet<NodeId>,
}

/// An instance whose entry stands, and whose members do not yet.
struct Waiting<'a> {
    id: NodeId,
    definition: &'a str,
    /// Targets per output.
    targets: Vec<Vec<NodeId>>,
    depth: usize,
}

impl<'a> Unfolding<'a> {
    pub fn new(source: &'a FlowDocument, links: Wires) -> Self {
        let mut definitions: HashMap<&str, Definition<'_>> = HashMap::new();
        for node in source.nodes().iter().filter(|node| node.kind() == NodeKind::Subflow) {
            definitions.insert(node.id().as_str(), Definition::read(node));
        }
        for node in source.nodes() {
            if let Some(definition) = node.flow().and_then(|z| definitions.get_mut(z)) {
                definition.members.push(node);
            }
        }
        Unfolding {
            looped: looped(&definitions),
            source,
            definitions,
            links,
            waiting: VecDeque::new(),
            planned: 0,
            nodes: Vec::with_capacity(source.nodes().len()),
            by_id: HashMap::with_capacity(source.nodes().len()),
            aliases: HashMap::new(),
            problems: Vec::new(),
            broken: HashSet::new(),
        }
    }

    pub fn run(mut self) -> Self {
        for node in self.source.nodes() {
            let inner = node.flow().is_some_and(|z| self.definitions.contains_key(z));
            if inner || node.kind() == NodeKind::Subflow {
                continue;
            }
            if node.definition().is_some() {
                self.instance(node, node.clone(), node.wires(), 1);
                while let Some(instance) = self.waiting.pop_front() {
                    self.members(&instance);
                }
            } else if let Some(targets) = self.links.get(node.id()) {
                let node = rewired(node, std::slice::from_ref(targets));
                self.push(node);
            } else {
                self.push(node.clone());
            }
        }
        self
    }

    fn push(&mut self, node: FlowNode) {
        self.by_id.insert(node.id().clone(), self.nodes.len());
        self.nodes.push(node);
    }

    /// Puts down the entry of an instance and queues its members. `original` is what stands in the source, `entry`
    /// what runs, `targets` what its outputs lead to.
    fn instance(&mut self, original: &'a FlowNode, entry: FlowNode, targets: Vec<Vec<NodeId>>, depth: usize) {
        // A clone that is switched off has lost its group and flow in the source's sense; its original still has them.
        if self.source.is_disabled(original) {
            self.push(entry);
            return;
        }
        let definition = match self.definition_of(original, depth) {
            Ok(definition) => definition,
            Err(text) => {
                self.problems.push(Problem::error("/type", text).of(entry.id().as_str()));
                self.broken.insert(entry.id().clone());
                self.push(rewired(&entry, &[]));
                return;
            }
        };
        let Some(ends) = self.definitions.get(definition) else { return };
        let remap = Remap { source: self.source, definition, instance: entry.id() };
        let mut wires: Vec<Vec<NodeId>> = ends.inputs.iter().map(|inner| remap.ids(inner)).collect();
        for (from, port, more) in extra_wires(ends, entry.id(), &targets) {
            if from.as_str() == definition
                && let Some(wires) = wires.get_mut(port)
            {
                wires.extend(more);
            }
        }
        let status = ends.status.is_some().then(|| status_entry(&entry));
        self.planned += ends.members.len();
        self.waiting.push_back(Waiting { id: entry.id().clone(), definition, targets, depth });
        self.push(rewired(&entry, &wires));
        if let Some(status) = status {
            self.push(status);
        }
    }

    /// Id of an instance's definition, or why it cannot be unfolded.
    fn definition_of(&self, instance: &'a FlowNode, depth: usize) -> Result<&'a str, String> {
        let id = instance.definition().unwrap_or_default();
        let Some(definition) = self.definitions.get(id) else {
            return Err(format!("subflow \"{id}\" is not in the file; add it or remove this node"));
        };
        if self.looped.contains(id) {
            return Err(format!("subflow \"{id}\" contains itself and would never end; take it out of itself"));
        }
        if depth > DEPTH_MAX {
            return Err(format!("subflows are nested more than {DEPTH_MAX} deep here"));
        }
        if self.nodes.len() + self.planned + definition.members.len() > RUNNING_MAX {
            return Err(format!("the flows unfold to more than {RUNNING_MAX} nodes here; use fewer nested subflows"));
        }
        Ok(id)
    }

    /// Clones the members of an instance.
    fn members(&mut self, instance: &Waiting<'a>) {
        let Some(definition) = self.definitions.get(instance.definition) else { return };
        self.planned -= definition.members.len();
        let mut more: HashMap<(NodeId, usize), Vec<NodeId>> = HashMap::new();
        for (from, port, targets) in extra_wires(definition, &instance.id, &instance.targets) {
            more.entry((from.clone(), port)).or_default().extend(targets);
        }
        let remap = Remap { source: self.source, definition: instance.definition, instance: &instance.id };
        for member in definition.members.clone() {
            let wires = (member.kind() == NodeKind::Node).then(|| {
                let mut wires = match self.links.get(member.id()) {
                    Some(targets) => vec![remap.ids(targets)],
                    None => member.wires().iter().map(|port| remap.ids(port)).collect(),
                };
                extend(&mut wires, member.id(), &mut more);
                wires
            });
            let clone = remap.clone_of(member, wires.as_deref());
            if self.by_id.contains_key(clone.id()) || self.source.get(clone.id().as_str()).is_some() {
                let text = format!("id \"{}\" of a node inside is taken by another node already", clone.id());
                self.problems.push(Problem::error("", text).of(instance.id.as_str()));
                continue;
            }
            self.aliases.insert(clone.id().clone(), member.id().clone());
            if member.definition().is_some() {
                self.instance(member, clone, wires.unwrap_or_default(), instance.depth + 1);
            } else {
                self.push(clone);
            }
        }
    }
}

/// Adds the targets that a subflow's outputs lead a member to; outputs the file does not have are made.
fn extend(wires: &mut Vec<Vec<NodeId>>, member: &NodeId, more: &mut HashMap<(NodeId, usize), Vec<NodeId>>) {
    if more.is_empty() {
        return;
    }
    let ports: Vec<usize> = more.keys().filter(|(from, _)| from == member).map(|(_, port)| *port).collect();
    for port in ports {
        if let Some(targets) = more.remove(&(member.clone(), port)) {
            if wires.len() <= port {
                wires.resize(port + 1, Vec::new());
            }
            if let Some(wires) = wires.get_mut(port) {
                wires.extend(targets);
            }
        }
    }
}

/// What the outputs and the status output of an instance add to the wires inside: from whom, on which port, to whom.
fn extra_wires<'d>(
    definition: &'d Definition<'_>,
    instance: &NodeId,
    targets: &[Vec<NodeId>],
) -> Vec<(&'d NodeId, usize, Vec<NodeId>)> {
    // No node has as many outputs; a broken file must not make us reserve room for them.
    const PORTS_MAX: usize = 1_000;
    let outputs = definition.outputs.iter().zip(targets).map(|(taps, targets)| (taps, targets.clone()));
    let status = definition.status.iter().map(|taps| (taps, vec![status_id(instance)]));
    let wires = outputs.chain(status).flat_map(|(taps, targets)| {
        let usable = taps.iter().filter(|tap| tap.port < PORTS_MAX);
        usable.map(move |Tap { from, port }| (from, *port, targets.clone()))
    });
    wires.collect()
}

fn status_id(instance: &NodeId) -> NodeId {
    NodeId::new(format!("{instance}:status"))
}

/// The entry at the status output of an instance, of which it is given the own entry.
fn status_entry(instance: &FlowNode) -> FlowNode {
    let texts = [
        ("id", status_id(instance.id()).to_string()),
        ("type", SUBFLOW_STATUS.to_owned()),
        ("z", instance.id().to_string()),
    ];
    let mut properties: JsonMap<String, Json> =
        texts.into_iter().map(|(key, text)| (key.to_owned(), Json::String(text))).collect();
    properties.insert("wires".to_owned(), Json::Array(Vec::new()));
    instance.with(properties)
}

/// Definitions that contain an instance of themselves, at any depth.
fn looped<'a>(definitions: &HashMap<&'a str, Definition<'a>>) -> HashSet<&'a str> {
    let mut graph = DiGraph::new();
    let index: HashMap<&str, _> = definitions.keys().map(|id| (*id, graph.add_node(*id))).collect();
    for (id, definition) in definitions {
        let inner = definition.members.iter().filter_map(|member| index.get(member.definition()?));
        for inner in inner {
            if let Some(outer) = index.get(id) {
                graph.add_edge(*outer, *inner, ());
            }
        }
    }
    let loops = tarjan_scc(&graph)
        .into_iter()
        .filter(|component| component.len() > 1 || component.iter().any(|&node| graph.find_edge(node, node).is_some()));
    loops.flatten().filter_map(|node| graph.node_weight(node).copied()).collect()
}
