//! From the document that a user deploys to the one that runs: subflows unfolded, links drawn as wires.
//!
//! Everything that runs has an id of its own in the running document, so slots, queues and state need no notion of
//! subflows. Two structural types stand there that no registry knows: the entry of an instance (`subflow:<id>`) and of
//! its status output ([`SUBFLOW_STATUS`]); see [`Part`].

mod definition;
mod member;
mod unfold;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::scopes::{self, GLOBAL};
use super::{FlowDocument, FlowNode, Link, NodeKind};
use crate::id::NodeId;
use crate::problem::Problem;

pub(super) use definition::problems as definition_problems;
use unfold::Unfolding;

/// Type of the entry at which messages arrive that a subflow sends to its status output.
pub const SUBFLOW_STATUS: &str = "subflow-status";

/// A deployed document as it runs. A clone shares everything.
///
/// - An **instance** of a subflow keeps its entry. Its only wires are those to the inner nodes that take the subflow's
///   input, plus the instance's own targets where an output is drawn straight from the input: it passes on what it gets.
/// - Its inner nodes, config nodes, groups and instances are **clones**: id `<instance id>-<inner id>`, `z` the instance.
///   Wires, and every property or list item that names an inner node, name the clone instead. Inner nodes that an
///   output is drawn from are wired on to the instance's targets.
/// - A subflow with a status output gets an entry `<instance id>:status`, which takes messages and sends none.
/// - An entry with [`Link::Out`] has one output, wired to all entries that either end names.
/// - Definitions and what stands in them do not run. Instances that are switched off are not unfolded.
/// - An instance whose definition is missing or contains itself stays without wires; [`Expanded::problem`] says why.
#[derive(Debug, Clone, Default)]
pub struct Expanded(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    source: FlowDocument,
    running: FlowDocument,
    /// Clone to the entry of the source that it was made from.
    aliases: HashMap<NodeId, NodeId>,
    problems: Vec<Problem>,
    /// Instances that were not unfolded.
    broken: HashSet<NodeId>,
}

/// What a running entry is to the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part<'a> {
    /// A node, config node or frame; its type says the rest.
    Entry,
    /// Passes every message on to its output 0.
    Instance {
        /// The definition.
        of: &'a FlowNode,
    },
    /// A message that arrives here becomes the status of this instance.
    Status { instance: &'a NodeId },
    /// An instance that cannot run.
    Broken(&'a Problem),
}

/// Where a running entry stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The flow it runs in: a tab, an instance of a subflow, or `global`.
    pub flow: NodeId,
    /// The groups around it in that flow, from the inside out.
    pub groups: Vec<NodeId>,
    /// For a clone: id of the entry in the source, Node-RED's `_alias`.
    pub alias: Option<NodeId>,
    /// `tab/instance/…/id`, with ids as the source has them.
    pub path: String,
}

impl Expanded {
    /// Unfolds a document. `link_of` says which entries are ends of links; it is asked once per entry.
    pub fn of(source: &FlowDocument, link_of: &dyn Fn(&FlowNode) -> Option<Link>) -> Self {
        let links = super::links::targets(source, link_of);
        let plain = |node: &FlowNode| node.kind() != NodeKind::Subflow && node.definition().is_none();
        if links.is_empty() && source.nodes().iter().all(plain) {
            return Expanded(Arc::new(Inner { source: source.clone(), running: source.clone(), ..Inner::default() }));
        }
        let done = Unfolding::new(source, links).run();
        Expanded(Arc::new(Inner {
            source: source.clone(),
            running: FlowDocument::of(done.nodes, done.by_id),
            aliases: done.aliases,
            problems: done.problems,
            broken: done.broken,
        }))
    }

    /// What runs. Its [`FlowDocument::is_disabled`] holds for clones as well.
    pub fn running(&self) -> &FlowDocument {
        &self.0.running
    }

    /// What was deployed.
    pub fn source(&self) -> &FlowDocument {
        &self.0.source
    }

    /// Why instances were not unfolded, or not wholly; named by their running ids.
    pub fn problems(&self) -> &[Problem] {
        &self.0.problems
    }

    /// What the entry is; `None` when there is none.
    pub fn part(&self, id: &str) -> Option<Part<'_>> {
        let node = self.running().get(id)?;
        if let Some(definition) = node.definition() {
            if self.0.broken.contains(id) {
                return self.0.problems.iter().find(|problem| problem.node == id).map(Part::Broken);
            }
            // An instance that is switched off may have no definition; it does not run anyway.
            return Some(self.source().get(definition).map_or(Part::Entry, |of| Part::Instance { of }));
        }
        if node.type_name() == SUBFLOW_STATUS && self.0.source.get(id).is_none() && self.alias(id).is_none() {
            let instance = node.flow().and_then(|flow| self.running().get(flow));
            return instance.map(|instance| Part::Status { instance: instance.id() });
        }
        Some(Part::Entry)
    }

    /// For a clone: id of the entry in the source.
    pub fn alias(&self, id: &str) -> Option<&NodeId> {
        self.0.aliases.get(id)
    }

    /// Id under which the source knows the entry: that of a clone's original, else its own.
    pub fn source_id<'a>(&'a self, id: &'a str) -> &'a str {
        self.alias(id).map_or(id, NodeId::as_str)
    }

    /// Where a running entry stands; computed from the document, nothing is kept for it.
    pub fn place(&self, id: &str) -> Option<Place> {
        let node = self.running().get(id)?;
        let flow = node.flow().unwrap_or(GLOBAL);
        Some(Place {
            flow: NodeId::from(flow),
            groups: scopes::groups(self.running(), node).map(|group| group.id().clone()).collect(),
            alias: self.alias(id).cloned(),
            path: self.path(id),
        })
    }

    /// `tab/instance/…/id` of an entry, flow or instance.
    pub fn path(&self, id: &str) -> String {
        let mut parts = vec![self.source_id(id)];
        let mut inner = id;
        while let Some(flow) = self.running().get(inner).and_then(FlowNode::flow).filter(|_| parts.len() < 100) {
            parts.push(self.source_id(flow));
            inner = flow;
        }
        if let Some(NodeKind::Config | NodeKind::Node) = self.running().get(inner).map(FlowNode::kind) {
            parts.push(GLOBAL);
        }
        parts.reverse();
        parts.join("/")
    }

    /// The flow around a flow: for an instance the one it stands on, for a tab `global`, for `global` none.
    pub fn parent_flow<'a>(&'a self, flow: &str) -> Option<&'a str> {
        if flow == GLOBAL {
            return None;
        }
        Some(self.running().get(flow).and_then(FlowNode::flow).unwrap_or(GLOBAL))
    }

    /// Running ids of these entries of the source, of their clones, and of all that runs in them: in tabs, groups,
    /// instances, or instances of definitions.
    pub fn concerned_by(&self, entries: &HashSet<NodeId>) -> Vec<NodeId> {
        let running = self.running();
        let is_one = |id: &str| {
            let definition = || running.get(id).and_then(FlowNode::definition);
            entries.contains(self.source_id(id)) || definition().is_some_and(|id| entries.contains(id))
        };
        let concerned = |id: &str| is_one(id) || scopes::all_around(running, id).any(is_one);
        running.nodes().iter().map(FlowNode::id).filter(|id| concerned(id.as_str())).cloned().collect()
    }

    /// The instance as whose clone an entry runs, if it does.
    pub fn instance_of(&self, id: &str) -> Option<&FlowNode> {
        let flow = self.running().get(id)?.flow()?;
        self.running().get(flow).filter(|flow| flow.definition().is_some())
    }
}

#[cfg(test)]
mod tests;
