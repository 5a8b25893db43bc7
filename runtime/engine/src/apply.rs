//! Making a flow document the running one, without stopping what it does not touch.
//!
//! Everything is built before anything is stopped. A changed node's successor takes over inbox, state and unsent
//! messages; a removed node works off what it has. A node that does not stop in time is cut off; it delays a deploy by
//! its deadline at most.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tidewire_model::flow::{self, Expanded, FlowDiff, FlowDocument, FlowGraph, FlowNode, Link, NodeKind, What};
use tidewire_model::{NodeId, Problem};
use tidewire_node_api::{Kind, Outcome, StopReason};

use crate::build::{self, Built, facts_of, is_live};
use crate::down::WhenDown;
use crate::driver::Driver;
use crate::entries::{Entries, Entry};
use crate::inbox::Inbox;
use crate::kept;
use crate::listeners::Listeners;
use crate::shared::Shared;
use crate::slot::Slot;
use crate::wiring::{finish, rewire, tables};

/// How long the replaced nodes of a deploy may take, all together, to finish what they work on.
pub const STOP: Duration = Duration::from_secs(2);

/// How long the removed nodes of a deploy may take, all together, to work off their inboxes.
const REMOVE: Duration = Duration::from_secs(6);

/// What is left for a node after others have used up the time.
const AT_LEAST: Duration = Duration::from_millis(100);

/// The time that several nodes have together.
struct Deadline(tokio::time::Instant);

impl Deadline {
    fn after(time: Duration) -> Self {
        Deadline(tokio::time::Instant::now() + time)
    }

    fn left(&self) -> Duration {
        self.0.saturating_duration_since(tokio::time::Instant::now()).max(AT_LEAST)
    }
}

/// A node that is to be started.
struct Starting {
    slot: Arc<Slot>,
    built: Built,
}

/// Makes `new` the running flows. `restart` names nodes that are started anew although they may be untouched.
/// Returns what is wrong with single nodes.
pub async fn apply(
    shared: &Arc<Shared>,
    old: &Expanded,
    new: &Expanded,
    diff: &FlowDiff,
    restart: &HashSet<NodeId>,
) -> Vec<Problem> {
    let graph = FlowGraph::of(new.running());
    let order = start_order(shared, new.running(), &graph);
    let changed: HashSet<&NodeId> = diff.changed.iter().chain(restart).collect();
    let (mut starting, mut replaced, mut problems) = (Vec::new(), Vec::new(), Vec::new());
    for node in order.iter().filter_map(|id| new.running().get(id.as_str())) {
        let existing = shared.slot(node.id().as_str());
        if existing.is_some() && !changed.contains(node.id()) {
            continue;
        }
        let built = build::build(shared, new, node);
        problems.extend(built.problem.clone());
        let slot = existing.unwrap_or_else(|| new_slot(shared, new, node));
        if slot.task.lock().is_some() {
            replaced.push((slot.clone(), facts_of(new, node), forgets(node)));
        } else {
            slot.forgetful.store(forgets(node), Ordering::Relaxed);
        }
        *slot.when_down.lock() = WhenDown::of(node);
        starting.push(Starting { slot, built });
    }
    for problem in build::problems(new, &shared.environment.load()) {
        if !problems.contains(&problem) {
            problems.push(problem);
        }
    }
    let fresh: HashSet<NodeId> = starting.iter().map(|node| node.slot.facts().id.clone()).collect();
    shared.slots.write().extend(starting.iter().map(|node| (node.slot.facts().id.clone(), node.slot.clone())));
    let (own, others): (Vec<_>, Vec<_>) =
        tables(shared, new.running(), &graph).into_iter().partition(|(slot, _)| fresh.contains(&slot.facts().id));
    // Sources first, so that whoever waits on a full inbox still finds it being read.
    let deadline = Deadline::after(STOP);
    for (slot, facts, forgets) in replaced.into_iter().rev() {
        stop(&slot, StopReason::Replaced, deadline.left()).await;
        slot.set_facts(facts);
        slot.forgetful.store(forgets, Ordering::Relaxed);
    }
    shared.entries.store(Arc::new(entries(shared, new)));
    listen(shared, new);
    rewire(own);
    start(shared, starting);
    // Only now: a new target is running before the first message is led to it.
    rewire(others);
    remove(shared, old.running(), new).await;
    problems
}

fn new_slot(shared: &Shared, flows: &Expanded, node: &FlowNode) -> Arc<Slot> {
    let meta = shared.registry.get(node.type_name()).map(|def| def.meta);
    let slot = Arc::new(Slot::new(facts_of(flows, node), meta));
    slot.tapped.store(shared.observers.is_tapped(node.id().as_str()), Ordering::Relaxed);
    *slot.kept.lock() = shared.dormant.wake(node.id());
    shared.leftovers.put_back(node.id(), &slot, &shared.keeper);
    slot
}

/// The user wants the node to forget its state whenever it ends, as Node-RED does.
pub fn forgets(node: &FlowNode) -> bool {
    node.get("forget").and_then(serde_json::Value::as_bool).unwrap_or(false)
}

/// Tells every slot who hears it.
fn listen(shared: &Shared, flows: &Expanded) {
    let heard = flow::Listeners::of(flows, &|node| shared.listens(node));
    let slots = shared.slots.read();
    let inboxes = |id: &NodeId, what| -> Vec<Arc<Inbox>> {
        let listeners = heard.of_node(id.as_str(), what).into_iter();
        listeners.filter_map(|id| slots.get(&id).map(|slot| slot.inbox.clone())).collect()
    };
    for (id, slot) in slots.iter() {
        let listeners = Listeners {
            errors: inboxes(id, What::Errors),
            statuses: inboxes(id, What::Statuses),
            completions: inboxes(id, What::Completions),
        };
        slot.listen(listeners);
    }
}

/// What others may address: the ends of links that take messages in.
fn entries(shared: &Shared, flows: &Expanded) -> Entries {
    let takes_in = |node: &&FlowNode| matches!(shared.link_of(node), Some(Link::In(_)));
    let live = flows.running().nodes().iter().filter(|node| is_live(flows.running(), node));
    Entries::new(
        live.filter(takes_in)
            .map(|node| {
                let facts = facts_of(flows, node);
                Entry { id: facts.id, name: facts.name.to_string(), flow: facts.flow, inner: facts.alias.is_some() }
            })
            .collect(),
    )
}

/// Live nodes in the order to start them in: what others use first, then sinks before sources.
fn start_order(shared: &Shared, document: &FlowDocument, graph: &FlowGraph) -> Vec<NodeId> {
    let live: HashSet<&NodeId> =
        document.nodes().iter().filter(|node| is_live(document, node)).map(FlowNode::id).collect();
    let configs = || document.nodes().iter().filter(|node| node.kind() == NodeKind::Config);
    let uses_config = |node: &FlowNode| {
        let named = |text: &str| document.get(text).is_some_and(|other| other.kind() == NodeKind::Config);
        node.references().any(named)
    };
    let is_source = |id: &NodeId| {
        let def = document.get(id.as_str()).and_then(|node| shared.registry.get(node.type_name()));
        def.is_some_and(|def| def.meta.kind == Kind::Source)
    };
    let (sources, others): (Vec<NodeId>, Vec<NodeId>) = graph.sinks_first().into_iter().partition(is_source);
    configs()
        .filter(|node| !uses_config(node))
        .chain(configs().filter(|node| uses_config(node)))
        .map(|node| node.id().clone())
        .chain(others)
        .chain(sources)
        .filter(|id| live.contains(id))
        .collect()
}

fn start(shared: &Arc<Shared>, starting: Vec<Starting>) {
    // Nodes may spawn from `start`; that work belongs to the graph's runtime.
    let _runtime = shared.runtime.enter();
    let drivers: Vec<Driver> = starting
        .into_iter()
        .map(|Starting { slot, built }| {
            *slot.problem.lock() = None;
            let mut driver = Driver::new(shared.clone(), slot.clone(), built.node, built.build);
            if let Some(problem) = built.problem {
                driver.show_problem(&problem);
            }
            driver
        })
        .collect();
    let started: Vec<(Driver, bool)> = drivers
        .into_iter()
        .map(|mut driver| {
            let started = driver.start().is_ok();
            (driver, started)
        })
        .collect();
    // No task runs before all nodes have started: what a node signals to itself while it starts finds the others there.
    for (driver, started) in started {
        let slot = driver.slot.clone();
        let task = shared.runtime.spawn(driver.run(started));
        *slot.task.lock() = Some(task);
    }
}

/// Stops the running instance of a slot's node.
pub async fn stop(slot: &Slot, reason: StopReason, deadline: Duration) {
    let Some(mut task) = slot.task.lock().take() else { return };
    slot.inbox.request_stop(reason);
    if tokio::time::timeout(deadline, &mut task).await.is_ok() {
        return;
    }
    let facts = slot.facts();
    tracing::warn!(node_id = %facts.id, node_type = %facts.type_name, "node did not stop in time, cut off");
    task.abort();
    // A node inside a long computation cannot be cut off; it goes when that ends, and its messages go back then.
    let _ = tokio::time::timeout(Duration::from_millis(200), task).await;
}

/// Nodes that run no longer, upstream first, so that what they still send is worked off too.
fn leaving(shared: &Shared, old: &FlowDocument, new: &FlowDocument) -> Vec<NodeId> {
    let gone = |id: &NodeId| new.get(id.as_str()).is_none_or(|node| !is_live(new, node));
    if !old.nodes().iter().any(|node| is_live(old, node) && gone(node.id())) {
        return Vec::new();
    }
    let order = start_order(shared, old, &FlowGraph::of(old));
    order.into_iter().rev().filter(gone).collect()
}

async fn remove(shared: &Arc<Shared>, old: &FlowDocument, new: &Expanded) {
    let deadline = Deadline::after(REMOVE);
    for id in leaving(shared, old, new.running()) {
        let Some(slot) = shared.slot(id.as_str()) else { continue };
        stop(&slot, StopReason::Removed, deadline.left()).await;
        let left = slot.inbox.close();
        if !left.is_empty() {
            slot.counters.dropped.add(left.len() as u64);
            tracing::warn!(node_id = %id, messages = left.len(), "removed node left messages behind");
        }
        // Whoever waits for a message brings it again; the others are kept to be looked at.
        let (waited_for, others): (Vec<_>, Vec<_>) = left.into_iter().partition(|delivery| delivery.token.is_some());
        for delivery in waited_for {
            finish(delivery.token, Outcome::Lost);
        }
        let revision = shared.revision.load(Ordering::Relaxed);
        shared.dead_letters.removed(&slot.facts(), others.into_iter().map(|delivery| delivery.message), revision);
        shared.slots.write().remove(&id);
        shared.dormant.put_to_sleep(id, std::mem::take(&mut slot.kept.lock()));
    }
    // What is only switched off keeps its records; what is gone from the flows does not.
    for (node, records) in shared.dormant.take_gone(|id| new.running().get(id.as_str()).is_some()) {
        for key in records.keys() {
            shared.keeper.keep(kept::change(&node, key, None), None);
        }
    }
}

/// Stops everything, sources first; inboxes, state and wiring stay.
pub async fn stop_all(shared: &Arc<Shared>, document: &FlowDocument, reason: StopReason, deadline: Duration) {
    let deadline = Deadline::after(deadline);
    let mut order = start_order(shared, document, &FlowGraph::of(document));
    order.reverse();
    for id in order {
        if let Some(slot) = shared.slot(id.as_str()) {
            stop(&slot, reason, deadline.left().min(STOP)).await;
        }
    }
}
