//! Who listens to whom: catch, status and complete nodes and what they hear.

use std::collections::{HashMap, HashSet};
use std::sync::OnceLock;

use super::scopes::{self, GLOBAL};
use super::{Expanded, FlowNode, NodeKind, Part};
use crate::id::NodeId;

/// What a listener wants to hear of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum What {
    /// Messages that a node failed on.
    Errors,
    /// Changes of a node's status.
    Statuses,
    /// Messages that a node is done with.
    Completions,
}

/// Which nodes a listener hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// All nodes of its flow.
    Flow,
    /// All nodes of its group, at any depth.
    Group,
    /// These nodes of its flow.
    Nodes(Vec<NodeId>),
}

/// What an entry of a flow file listens to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listens {
    pub what: What,
    pub scope: Scope,
    /// Only what no other listener took. Counts for errors.
    pub uncaught: bool,
}

/// All listeners of a running document, found by whom they hear.
///
/// The nearest flow in which anyone listens decides, from the reporting node's own outwards through the instances of
/// subflows that it stands in; there the instance counts as the reporting node. Errors go on outwards when nobody took
/// them, statuses unless the subflow has a status output of its own; completions stay in their flow. What a config node
/// of no flow reports is heard where its users stand, once by each listener.
#[derive(Debug, Default)]
pub struct Listeners {
    expanded: Expanded,
    /// By what they listen to and the flow they stand in, in the order of the file.
    listeners: HashMap<What, HashMap<NodeId, Vec<Listener>>>,
    /// Config nodes of no flow, and who names them. Filled when first asked for.
    users: OnceLock<HashMap<NodeId, Vec<NodeId>>>,
}

#[derive(Debug)]
struct Listener {
    id: NodeId,
    group: Option<NodeId>,
    scope: Scope,
    uncaught: bool,
}

impl Listeners {
    /// Finds all listeners that are switched on. `listens` is asked once per running entry; the ids in a clone's scope
    /// are those of clones.
    pub fn of(expanded: &Expanded, listens: &dyn Fn(&FlowNode) -> Option<Listens>) -> Self {
        let running = expanded.running();
        let mut found = Listeners { expanded: expanded.clone(), ..Listeners::default() };
        for node in running.nodes().iter().filter(|node| node.kind() == NodeKind::Node) {
            let Some(Listens { what, mut scope, uncaught }) = listens(node) else { continue };
            if running.is_disabled(node) {
                continue;
            }
            // A status or completion that a listener itself brings about would go round for ever.
            if let (What::Statuses | What::Completions, Scope::Nodes(ids)) = (what, &mut scope) {
                let fed: HashSet<NodeId> = node.wires().into_iter().flatten().collect();
                ids.retain(|id| !fed.contains(id));
            }
            let group = scopes::groups(running, node).next().map(|group| group.id().clone());
            let listener = Listener { id: node.id().clone(), group, scope, uncaught: uncaught && what == What::Errors };
            let flows = found.listeners.entry(what).or_default();
            flows.entry(NodeId::from(node.flow().unwrap_or(GLOBAL))).or_default().push(listener);
        }
        found
    }

    /// Nobody listens to such things anywhere.
    pub fn is_empty(&self, what: What) -> bool {
        !self.listeners.contains_key(&what)
    }

    /// Who is to be told when `node` reports something, in this order; what is told names `node` as the source.
    pub fn of_node(&self, node: &str, what: What) -> Vec<NodeId> {
        if self.is_empty(what) {
            return Vec::new();
        }
        let mut told = Vec::new();
        self.gather(node, what, &mut HashSet::new(), &mut told);
        told
    }

    fn gather(&self, node: &str, what: What, asked: &mut HashSet<NodeId>, told: &mut Vec<NodeId>) {
        let running = self.expanded.running();
        let Some(mut reporter) = running.get(node).filter(|node| asked.insert(node.id().clone())) else { return };
        if what == What::Completions && matches!(self.expanded.part(node), Some(Part::Instance { .. })) {
            return;
        }
        if reporter.kind() == NodeKind::Config && reporter.flow().is_none() {
            for user in self.users().get(node).into_iter().flatten() {
                self.gather(user.as_str(), what, asked, told);
            }
            return;
        }
        loop {
            let takers = self.takers(reporter, what);
            if !takers.is_empty() {
                let known: HashSet<NodeId> = told.iter().cloned().collect();
                told.extend(takers.into_iter().filter(|taker| !known.contains(taker)));
                return;
            }
            let outside = self.expanded.instance_of(reporter.id().as_str()).filter(|_| what != What::Completions);
            let Some(instance) = outside else { return };
            if what == What::Statuses
                && let Some(Part::Instance { of }) = self.expanded.part(instance.id().as_str())
                && of.get("status").is_some_and(serde_json::Value::is_object)
            {
                return;
            }
            reporter = instance;
        }
    }

    /// Who takes it in the reporter's own flow.
    fn takers(&self, reporter: &FlowNode, what: What) -> Vec<NodeId> {
        let flow = reporter.flow().unwrap_or(GLOBAL);
        let Some(listeners) = self.listeners.get(&what).and_then(|flows| flows.get(flow)) else { return Vec::new() };
        let groups: Vec<&str> =
            scopes::groups(self.expanded.running(), reporter).map(|group| group.id().as_str()).collect();
        let mut takers: Vec<(usize, u8, &Listener)> = Vec::new();
        for listener in listeners.iter().filter(|listener| listener.id != *reporter.id()) {
            let group = listener.group.as_ref().map(NodeId::as_str);
            if let Some(distance) = covers(group, &listener.scope, reporter.id(), &groups) {
                takers.push((distance, rank(listener, what), listener));
            }
        }
        takers.sort_by_key(|(distance, rank, _)| (*distance, *rank));
        // The first one always takes it; one that wants what nobody took comes in only if it is first, or follows one.
        let (mut taken, mut by_uncaught) = (false, false);
        takers.retain(|(.., listener)| {
            let takes = !listener.uncaught || !taken || by_uncaught;
            taken |= takes;
            by_uncaught |= takes && listener.uncaught;
            takes
        });
        takers.into_iter().map(|(.., listener)| listener.id.clone()).collect()
    }

    fn users(&self) -> &HashMap<NodeId, Vec<NodeId>> {
        self.users.get_or_init(|| {
            let running = self.expanded.running();
            let global = |node: &&FlowNode| node.kind() == NodeKind::Config && node.flow().is_none();
            let mut users: HashMap<NodeId, Vec<NodeId>> =
                running.nodes().iter().filter(global).map(|node| (node.id().clone(), Vec::new())).collect();
            for node in running.nodes() {
                for name in node.references() {
                    if let Some(users) = users.get_mut(name) {
                        users.push(node.id().clone());
                    }
                }
            }
            users
        })
    }
}

/// Listeners of equal distance: those with a scope first, those that want what nobody took last.
fn rank(listener: &Listener, what: What) -> u8 {
    match (what, &listener.scope) {
        (What::Errors, Scope::Flow) => 1 + u8::from(listener.uncaught),
        _ => 0,
    }
}

/// How far a listener that covers a reporting node of its flow is from it, in groups; `None` if it does not cover it.
/// `group` is the listener's, `groups` are the reporting node's, from the inside out.
pub fn covers(group: Option<&str>, scope: &Scope, reporter: &NodeId, groups: &[&str]) -> Option<usize> {
    let distance = group.and_then(|group| groups.iter().position(|around| *around == group));
    match scope {
        Scope::Nodes(ids) if !ids.contains(reporter) => None,
        // A listener that is in no group and wants to hear its group hears its flow.
        Scope::Group if group.is_some() && distance.is_none() => None,
        _ => Some(distance.unwrap_or(groups.len())),
    }
}

#[cfg(test)]
mod tests;
