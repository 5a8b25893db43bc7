//! The engine: the running flows, and everything that may be asked of them.

mod control;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use tidewire_model::flow::{DocumentError, Expanded, FlowDiff, FlowDocument, Part};
use tidewire_model::position::Position;
use tidewire_model::{Map, Message, NodeId, Problem};
use tidewire_node_api::{Delivery, NodeFacts, Registry, Services, Signal, Status, StopReason};
use tokio::sync::{Mutex, broadcast};

use crate::clock::{Clock, Credentials};
use crate::deploy::{DeployError, DeployKind, DeployRequest, Deployed};
use crate::inbox::{Drops, Pushed, Way};
use crate::leftovers::Leftovers;
use crate::observe::{Observation, Tap};
use crate::record;
use crate::shared::{Env, Shared};
use crate::stats::Stats;
use crate::{apply, build};

/// How long a deploy waits for what went with it to be on disk.
const SETTLE_MS: i64 = 2_000;

/// What an engine is made of.
pub struct EngineConfig {
    pub registry: Arc<Registry>,
    pub services: Services,
    pub clock: Arc<dyn Clock>,
    pub credentials: Arc<dyn Credentials>,
    pub env: Env,
    /// Where the nodes run.
    pub runtime: tokio::runtime::Handle,
    /// Load flows, but do not start them.
    pub safe: bool,
}

/// Why the stored flows could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    #[error("read the deployed flows from the event log: {0}")]
    Log(String),
    #[error("the deployed flows at position {position} are damaged")]
    Damaged {
        position: u64,
        #[source]
        source: DocumentError,
    },
}

/// Why a node was not given something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    #[error("there is no such node")]
    Unknown,
    #[error("the node is switched off")]
    Disabled,
    #[error("the node was removed meanwhile")]
    Closed,
}

/// The document in force and its revision.
#[derive(Debug, Clone, Default)]
pub struct Flows {
    pub document: Arc<FlowDocument>,
    /// Opaque; empty before the first deploy.
    pub rev: String,
    /// Number of the deploy, from 1.
    pub number: u64,
    /// Place of its event in the log.
    pub position: Position,
}

/// One node as it is now.
#[derive(Debug, Clone)]
pub struct NodeView {
    pub facts: NodeFacts,
    /// Its entry as it runs.
    pub config: Arc<serde_json::Value>,
    pub status: Status,
    /// Why it does not run, if it should and does not.
    pub problem: Option<String>,
    pub disabled: bool,
    /// Its type is known here.
    pub known: bool,
}

/// Handle of the engine; clones are the same engine.
#[derive(Clone)]
pub struct Engine(Arc<Inner>);

struct Inner {
    shared: Arc<Shared>,
    flows: ArcSwap<Flows>,
    running: AtomicBool,
    /// Held while a deploy is under way.
    deploying: Mutex<()>,
    closing: AtomicBool,
}

impl Engine {
    pub fn new(config: EngineConfig) -> Engine {
        let EngineConfig { registry, services, clock, credentials, env, runtime, safe } = config;
        Engine(Arc::new(Inner {
            shared: Arc::new(Shared::new(registry, services, clock, credentials, env, runtime)),
            flows: ArcSwap::default(),
            running: AtomicBool::new(!safe),
            deploying: Mutex::new(()),
            closing: AtomicBool::new(false),
        }))
    }

    /// Starts the flows that the log says were deployed last, and gives their revision; `None` if none ever were.
    ///
    /// # Errors
    /// When the log cannot be read or what it holds is damaged.
    pub async fn load(&self) -> Result<Option<String>, EngineError> {
        let _deploying = self.0.deploying.lock().await;
        let log = self.0.shared.services.log.as_ref();
        self.0.shared.dormant.read(log).await.map_err(|error| EngineError::Log(error.text))?;
        self.0.shared.leftovers.read(log).await.map_err(|error| EngineError::Log(error.text))?;
        self.0.shared.contexts.load(log).await.map_err(|error| EngineError::Log(error.text))?;
        let Some(flows) = record::last(self.0.shared.services.log.as_ref()).await? else { return Ok(None) };
        let rev = flows.rev.clone();
        let expanded = self.expand(&flows.document);
        self.replace(flows, expanded, &HashSet::new()).await;
        Ok(Some(rev))
    }

    /// Makes a document the running one.
    ///
    /// # Errors
    /// Stale revision, or the log does not take the record. What runs was not touched then.
    pub async fn deploy(&self, request: DeployRequest) -> Result<Deployed, DeployError> {
        let engine = self.clone();
        // A task of its own: a client that hangs up must not leave half a deploy behind.
        let task = self.0.shared.runtime.spawn(async move { engine.deploy_now(request).await });
        task.await.unwrap_or(Err(DeployError::Closing))
    }

    async fn deploy_now(&self, request: DeployRequest) -> Result<Deployed, DeployError> {
        let _deploying = self.0.deploying.lock().await;
        if self.0.closing.load(Ordering::Relaxed) {
            return Err(DeployError::Closing);
        }
        let current = self.flows();
        let document = match request.kind {
            DeployKind::Reload => current.document.clone(),
            _ => Arc::new(request.document),
        };
        let diff = FlowDiff::between(&current.document, &document);
        if request.expected_rev.is_some_and(|expected| expected != current.rev) {
            return Err(DeployError::Stale { current: current.rev.clone(), diff: Box::new(diff) });
        }
        let expanded = self.expand(&document);
        let restart = request.kind.restarted(&self.0.shared.flows.load(), &expanded, request.touched);
        let (kind, author) = (request.kind.as_str(), request.author.as_str());
        let origin = record::Origin { kind, author, restored: request.restored.as_deref() };
        let flows = record::append(&self.0.shared, &current, document, &diff, origin).await?;
        let (rev, number, position) = (flows.rev.clone(), flows.number, flows.position);
        let problems = self.replace(flows, expanded, &restart).await;
        self.settle().await;
        self.0.shared.observers.tell(Observation::Deployed { rev: rev.clone(), diff: diff.clone() });
        tracing::info!(rev, author, kind, "flows deployed");
        Ok(Deployed { rev, number, position, diff, problems })
    }

    fn expand(&self, document: &FlowDocument) -> Expanded {
        Expanded::of(document, &|node| self.0.shared.link_of(node))
    }

    /// Puts other flows in force.
    async fn replace(&self, flows: Flows, expanded: Expanded, restart: &HashSet<NodeId>) -> Vec<Problem> {
        let shared = &self.0.shared;
        shared.revision.store(flows.number, Ordering::Relaxed);
        self.0.flows.store(Arc::new(flows));
        shared.contexts.set_flows(&expanded);
        shared.environment.store(Arc::new(shared.environment_of(&expanded)));
        let old = shared.flows.swap(Arc::new(expanded.clone()));
        let mut problems = Vec::new();
        if self.running() {
            let diff = FlowDiff::running(&old, &expanded);
            problems = apply::apply(shared, &old, &expanded, &diff, restart).await;
        }
        shared.contexts.sweep();
        problems
    }

    /// Waits until what went with a deploy, such as the context of removed nodes, is gone for good, within limits.
    async fn settle(&self) {
        let shared = &self.0.shared;
        tokio::select! {
            () = shared.keeper.flush() => {}
            () = shared.clock.until(shared.clock.now_ms() + SETTLE_MS) => {}
        }
    }

    /// Makes a document the running one without recording that.
    pub(crate) async fn run(&self, document: FlowDocument) -> Vec<Problem> {
        let expanded = self.expand(&document);
        let flows = Flows { document: Arc::new(document), number: 1, ..Flows::default() };
        self.replace(flows, expanded, &HashSet::new()).await
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0.shared
    }

    /// The document in force.
    pub fn flows(&self) -> Flows {
        Flows::clone(&self.0.flows.load())
    }

    /// Findings in a document, without deploying it.
    pub fn check(&self, document: &FlowDocument) -> Vec<Problem> {
        let mut problems = self.0.shared.registry.check_document(document);
        let flows = self.expand(document);
        problems.extend(build::problems(&flows, &self.0.shared.environment_of(&flows)));
        problems
    }

    pub fn registry(&self) -> &Arc<Registry> {
        &self.0.shared.registry
    }

    pub fn services(&self) -> &Services {
        &self.0.shared.services
    }

    /// A new message with an id of its own.
    pub fn new_message(&self, body: Map) -> Message {
        Message::new(self.0.shared.next_id(), body)
    }

    /// Hands a message to a node's input, waiting while its inbox is full.
    ///
    /// # Errors
    /// No such node, switched off, or removed meanwhile.
    pub async fn send(&self, node: &str, message: Message) -> Result<(), SendError> {
        let slot = self.slot(node)?;
        let mut deliveries = vec![Delivery::new(message, None)];
        loop {
            match slot.inbox.push(&mut deliveries, Way::SOURCE, &mut Drops::default()) {
                Pushed::All => return Ok(()),
                Pushed::Full => slot.inbox.wait_room(Way::SOURCE).await,
                Pushed::Closed => return Err(SendError::Closed),
            }
        }
    }

    /// Sends a node a signal.
    ///
    /// # Errors
    /// No such node, or switched off.
    pub fn signal(&self, node: &str, signal: Signal) -> Result<(), SendError> {
        let slot = self.slot(node)?;
        slot.inbox.signal(signal);
        Ok(())
    }

    fn slot(&self, node: &str) -> Result<Arc<crate::slot::Slot>, SendError> {
        self.0.shared.slot(node).ok_or_else(|| match self.0.shared.flows.load().running().get(node) {
            Some(_) => SendError::Disabled,
            None => SendError::Unknown,
        })
    }

    pub fn node(&self, id: &str) -> Option<NodeView> {
        let flows = self.0.shared.flows.load();
        let node = flows.running().get(id)?;
        let slot = self.0.shared.slot(id);
        Some(NodeView {
            facts: build::facts_of(&flows, node),
            config: node.json().clone(),
            status: slot.as_ref().map(|slot| slot.status.lock().clone()).unwrap_or_default(),
            problem: slot.as_ref().and_then(|slot| slot.problem.lock().clone()),
            disabled: flows.running().is_disabled(node),
            known: self.0.shared.registry.get(node.type_name()).is_some() || flows.part(id) != Some(Part::Entry),
        })
    }

    /// Statuses that are not empty.
    pub fn statuses(&self) -> Vec<(NodeId, Status)> {
        let slots = self.0.shared.slots.read();
        let shown = slots.iter().map(|(id, slot)| (id.clone(), slot.status.lock().clone()));
        shown.filter(|(_, status)| *status != Status::default()).collect()
    }

    /// Problems of nodes that should run and do not.
    pub fn problems(&self) -> Vec<(NodeId, String)> {
        let slots = self.0.shared.slots.read();
        slots.iter().filter_map(|(id, slot)| Some((id.clone(), slot.problem.lock().clone()?))).collect()
    }

    pub fn observe(&self) -> broadcast::Receiver<Observation> {
        self.0.shared.observers.subscribe()
    }

    /// Watches nodes; they need not exist yet, and the tap outlives deploys.
    pub fn tap(&self, nodes: impl IntoIterator<Item = NodeId>) -> Tap {
        let nodes: HashSet<NodeId> = nodes.into_iter().collect();
        let shared = Arc::downgrade(&self.0.shared);
        let tapped = nodes.clone();
        let release = Box::new(move |id| {
            let Some(shared) = shared.upgrade() else { return };
            shared.observers.close_tap(id);
            for node in &tapped {
                if let Some(slot) = shared.slot(node.as_str()) {
                    slot.tapped.store(shared.observers.is_tapped(node.as_str()), Ordering::Relaxed);
                }
            }
        });
        let tap = self.0.shared.observers.open_tap(&nodes, release);
        for node in &nodes {
            if let Some(slot) = self.0.shared.slot(node.as_str()) {
                slot.tapped.store(true, Ordering::Relaxed);
            }
        }
        tap
    }

    /// All figures now.
    pub fn stats(&self) -> Stats {
        let slots = self.0.shared.slots.read();
        Stats::of(slots.iter(), &self.0.shared.limits.budget)
    }

    /// Bytes that all inboxes together may hold; at 80 % of it sources stop taking in. 256 MiB unless set.
    pub fn set_inbox_memory(&self, bytes: usize) {
        self.0.shared.limits.budget.set_limit(bytes);
    }

    /// Rounds that a message may go in loops before it counts as an error. 10,000 unless set.
    pub fn set_max_hops(&self, hops: u32) {
        self.0.shared.limits.max_hops.store(hops, Ordering::Relaxed);
    }

    pub fn running(&self) -> bool {
        self.0.running.load(Ordering::Relaxed)
    }

    /// Stops or starts all flows. Inboxes and what they hold stay.
    pub async fn set_running(&self, running: bool) {
        let engine = self.clone();
        let task = self.0.shared.runtime.spawn(async move {
            let _deploying = engine.0.deploying.lock().await;
            if engine.0.running.swap(running, Ordering::Relaxed) == running {
                return;
            }
            let shared = &engine.0.shared;
            let flows = shared.flows.load_full();
            if running {
                let everything = flows.running().nodes().iter().map(|node| node.id().clone()).collect();
                let nothing = Expanded::default();
                let diff = FlowDiff::between(nothing.running(), flows.running());
                apply::apply(shared, &nothing, &flows, &diff, &everything).await;
            } else {
                apply::stop_all(shared, flows.running(), StopReason::Replaced, Duration::from_secs(5)).await;
            }
        });
        // The task itself does not panic; a runtime that goes down takes the flows with it anyway.
        let _ = task.await;
    }

    /// Stops all nodes, sources first, and lets them finish what they hold, within `deadline`.
    pub async fn shutdown(&self, deadline: Duration) {
        self.0.closing.store(true, Ordering::Relaxed);
        let _deploying = self.0.deploying.lock().await;
        let shared = &self.0.shared;
        apply::stop_all(shared, shared.flows.load().running(), StopReason::Shutdown, deadline).await;
        for (node, slot) in shared.slots.read().iter() {
            Leftovers::keep(node, slot, &shared.keeper);
        }
        shared.keeper.flush().await;
        shared.dead_letters.flush().await;
    }
}
