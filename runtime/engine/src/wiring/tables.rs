//! From a document to the routing tables of its nodes, and to limits and policies as its properties say.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value as Json;
use tidewire_model::flow::{FlowDocument, FlowGraph, FlowNode, Loops, Wire};
use tidewire_model::{NodeId, Problem};

use super::{OutTable, Target};
use crate::build::is_live;
use crate::inbox::{Circle, Inbox, Limits, Policy};
use crate::shared::Shared;
use crate::slot::Slot;

/// Property of a receiving node: `{"messages": n, "bytes": n}`.
const INBOX: &str = "inbox";

/// Property of a sending node: `{"<port from 0>:<target id>": "drop-oldest"}`.
const POLICIES: &str = "wirePolicies";

/// Routing tables of all live nodes; wires that were there before keep their counters. Inboxes get their limits and
/// their places in loops. `graph` is that of the document.
pub fn tables(shared: &Shared, document: &FlowDocument, graph: &FlowGraph) -> Vec<(Arc<Slot>, OutTable)> {
    let loops = graph.loops();
    let circles: Vec<Arc<Circle>> = (0..loops.count).map(|_| Arc::default()).collect();
    let slots = shared.slots.read();
    let mut tables = Vec::with_capacity(slots.len());
    for node in document.nodes().iter().filter(|node| is_live(document, node)) {
        let Some(slot) = slots.get(node.id()) else { continue };
        let limits = node.get(INBOX).map_or_else(Limits::default, |json| Limits::read(json).0);
        let circle = loops.members.get(node.id()).and_then(|number| circles.get(*number));
        slot.inbox.configure(limits, circle.cloned(), &shared.limits.budget);
        let live = |to: &NodeId| document.get(to.as_str()).is_some_and(|target| is_live(document, target));
        let inbox = |to: &NodeId| slots.get(to).filter(|_| live(to)).map(|slot| slot.inbox.clone());
        let policies = Policies::along(document, node);
        tables.push((slot.clone(), table(node, &policies, &slot.table.load(), &loops, inbox)));
    }
    tables
}

fn table(
    node: &FlowNode,
    policies: &[Policies<'_>],
    before: &OutTable,
    loops: &Loops,
    inbox: impl Fn(&NodeId) -> Option<Arc<Inbox>>,
) -> OutTable {
    let own_loop = loops.members.get(node.id());
    let policy = |port: usize, to: &NodeId| {
        let own = policies.first().and_then(|own| own.get(port, to));
        own.or_else(|| policies.iter().skip(1).find_map(|outer| outer.towards(to))).unwrap_or_default()
    };
    let target = |port: usize, to: NodeId| {
        let inbox = inbox(&to)?;
        let counters = before.counters(port, &to).unwrap_or_default();
        let their_loop = loops.members.get(&to);
        let inside = own_loop.is_some() && own_loop == their_loop;
        let wire = Wire { from: node.id().clone(), port, to };
        let feedback = inside && loops.feedback.contains(&wire);
        let policy = policy(port, &wire.to);
        Some(Target { to: wire.to, inbox, counters, feedback, entry: their_loop.is_some() && !inside, policy })
    };
    let ports = node.wires().into_iter().enumerate();
    OutTable { ports: ports.map(|(port, to)| to.into_iter().filter_map(|to| target(port, to)).collect()).collect() }
}

/// Swaps the tables that differ from those in force.
pub fn rewire(tables: Vec<(Arc<Slot>, OutTable)>) {
    for (slot, table) in tables {
        if !same(&slot.table.load(), &table) {
            slot.rewire(table);
        }
    }
}

fn same(old: &OutTable, new: &OutTable) -> bool {
    let equal = |a: &Target, b: &Target| Arc::ptr_eq(&a.inbox, &b.inbox) && a.way() == b.way();
    old.ports.len() == new.ports.len()
        && old
            .ports
            .iter()
            .zip(&new.ports)
            .all(|(old, new)| old.len() == new.len() && old.iter().zip(new).all(|(a, b)| equal(a, b)))
}

/// What is wrong with limits and policies in a document; such a node runs with the usual ones.
pub fn problems(document: &FlowDocument) -> Vec<Problem> {
    let mut problems = Vec::new();
    for node in document.nodes() {
        if let Some(json) = node.get(INBOX) {
            let found = Limits::read(json).1.into_iter();
            problems.extend(found.map(|(path, text)| Problem::warning(path, text).of(node.id().as_str())));
        }
        if node.get(POLICIES).is_some() {
            problems.extend(Policies::of(node).problems(node));
        }
    }
    problems
}

/// What a node says of its wires.
struct Policies<'a> {
    said: HashMap<(usize, &'a str), Policy>,
    /// Within an instance of a subflow, ids begin with that of the instance; what users write does not.
    instance: Option<&'a str>,
    bad: Vec<(String, String)>,
}

impl<'a> Policies<'a> {
    /// Those of a node, then those of the subflow instances it stands in: a wire that leaves an instance is the
    /// instance's for whoever wrote the flow.
    fn along(document: &'a FlowDocument, node: &'a FlowNode) -> Vec<Self> {
        let instance = |node: &FlowNode| document.get(node.flow()?).filter(|outer| outer.definition().is_some());
        std::iter::successors(Some(node), |node| instance(node)).map(Self::of).collect()
    }

    fn of(node: &'a FlowNode) -> Self {
        let mut policies = Policies { said: HashMap::new(), instance: node.flow(), bad: Vec::new() };
        match node.get(POLICIES) {
            None => {}
            Some(Json::Object(map)) => map.iter().for_each(|(key, value)| policies.read(key, value)),
            Some(_) => {
                let text = "must be an object such as {\"0:<id of the target>\": \"drop-oldest\"}; all wires block";
                policies.bad.push((format!("/{POLICIES}"), text.to_owned()));
            }
        }
        policies
    }

    fn read(&mut self, key: &'a str, value: &Json) {
        let wire = key.split_once(':').and_then(|(port, to)| Some((port.parse().ok()?, to)));
        let policy = value.as_str().and_then(Policy::named);
        match (wire, policy) {
            (Some(wire), Some(policy)) => {
                self.said.insert(wire, policy);
            }
            (None, _) => {
                self.bad(key, "names no wire; write the number of the output, from 0, and the id of the target")
            }
            (_, None) => self.bad(key, "must be block, drop-oldest, drop-newest or latest; the wire blocks"),
        }
    }

    fn bad(&mut self, key: &str, text: &str) {
        self.bad.push((format!("/{POLICIES}/{}", key.replace('~', "~0").replace('/', "~1")), text.to_owned()));
    }

    fn get(&self, port: usize, to: &NodeId) -> Option<Policy> {
        let said = |to: &str| self.said.get(&(port, to)).copied();
        said(to.as_str()).or_else(|| said(self.within(to)?))
    }

    /// What is said of a wire to a target, from whichever output.
    fn towards(&self, to: &NodeId) -> Option<Policy> {
        let names = [Some(to.as_str()), self.within(to)];
        let mut found: Vec<_> = self.said.iter().filter(|((_, said), _)| names.contains(&Some(*said))).collect();
        found.sort_by_key(|((port, _), _)| *port);
        found.first().map(|(_, policy)| **policy)
    }

    /// The id of a target as the subflow's definition has it.
    fn within<'b>(&self, to: &'b NodeId) -> Option<&'b str> {
        to.as_str().strip_prefix(self.instance?)?.strip_prefix('-')
    }

    fn problems(self, node: &FlowNode) -> Vec<Problem> {
        let wires = node.wires();
        let there = |port: usize, to: &str| {
            wires.get(port).is_some_and(|to_all| to_all.iter().any(|id| id == &NodeId::from(to)))
        };
        let absent = self.said.keys().filter(|(port, to)| !there(*port, to)).map(|(port, to)| {
            let text = format!("output {} is not wired to \"{to}\"", port + 1);
            (format!("/{POLICIES}/{port}:{to}"), text)
        });
        let mut found: Vec<_> = absent.chain(self.bad.iter().cloned()).collect();
        found.sort();
        found.into_iter().map(|(path, text)| Problem::warning(path, text).of(node.id().as_str())).collect()
    }
}
