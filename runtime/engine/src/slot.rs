//! A slot: what lives as long as a node id does, across all instances of the node.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tidewire_node_api::{Meta, NodeFacts, Outputs, State, Status};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use crate::down::WhenDown;
use crate::inbox::Inbox;
use crate::kept::Records;
use crate::listeners::Listeners;
use crate::stats::{NodeCounters, Recent};
use crate::wiring::OutTable;

/// See the module.
pub struct Slot {
    facts: ArcSwap<NodeFacts>,
    pub inbox: Arc<Inbox>,
    pub table: ArcSwap<OutTable>,
    /// Who hears of its errors, statuses and ends of messages.
    pub listeners: ArcSwap<Listeners>,
    /// The driver is to know which message the node works on: complete nodes hear it, or it has crashed before.
    pub names_messages: AtomicBool,
    pub careful: AtomicBool,
    /// Told when `table` was swapped, so that a sender that waits looks again.
    pub table_changed: Notify,
    pub counters: NodeCounters,
    pub recent: Recent,
    /// A tap watches this node.
    pub tapped: AtomicBool,
    pub status: Mutex<Status>,
    /// Why the node does not run, if it should and does not.
    pub problem: Mutex<Option<String>>,
    /// What the last instance left for its successor.
    pub state: Mutex<Option<State>>,
    /// Messages the last instance had made and could not send any more; its successor sends them first.
    pub unsent: Mutex<Option<Outputs>>,
    /// Records its node keeps, by key; the durable ones are in the log too.
    pub kept: Mutex<Records>,
    /// The user wants its state to be forgotten whenever it ends, as Node-RED does.
    pub forgetful: AtomicBool,
    /// What the user wants of messages while the node should run and does not.
    pub when_down: Mutex<Option<WhenDown>>,
    pub resource: Mutex<Option<Arc<dyn Any + Send + Sync>>>,
    pub task: Mutex<Option<JoinHandle<()>>>,
    /// Number of the running instance; timers of earlier ones are ignored.
    pub instance: AtomicU64,
    /// Facts of its type; none for types that are not known here.
    pub meta: Option<Meta>,
}

impl Slot {
    pub fn new(facts: NodeFacts, meta: Option<Meta>) -> Self {
        Slot {
            facts: ArcSwap::from_pointee(facts),
            inbox: Arc::new(Inbox::default()),
            table: ArcSwap::from_pointee(OutTable::default()),
            listeners: ArcSwap::default(),
            names_messages: AtomicBool::new(false),
            careful: AtomicBool::new(false),
            table_changed: Notify::new(),
            counters: NodeCounters::default(),
            recent: Recent::default(),
            tapped: AtomicBool::new(false),
            status: Mutex::default(),
            problem: Mutex::default(),
            state: Mutex::default(),
            unsent: Mutex::default(),
            kept: Mutex::default(),
            forgetful: AtomicBool::new(false),
            when_down: Mutex::default(),
            resource: Mutex::default(),
            task: Mutex::default(),
            instance: AtomicU64::new(0),
            meta,
        }
    }

    pub fn facts(&self) -> Arc<NodeFacts> {
        self.facts.load_full()
    }

    /// The node was given another name or flow.
    pub fn set_facts(&self, facts: NodeFacts) {
        self.facts.store(Arc::new(facts));
    }

    /// Swaps the routing table and wakes a sender that waits on the old one.
    pub fn rewire(&self, table: OutTable) {
        self.table.store(Arc::new(table));
        self.table_changed.notify_waiters();
    }

    /// Swaps who hears the node.
    pub fn listen(&self, listeners: Listeners) {
        let names = !listeners.completions.is_empty() || self.careful.load(Ordering::Relaxed);
        if !listeners.is_empty() || !self.listeners.load().is_empty() {
            self.listeners.store(Arc::new(listeners));
        }
        self.names_messages.store(names, Ordering::Relaxed);
    }

    /// The node has crashed: from now on its messages are known by name.
    pub fn be_careful(&self) {
        self.careful.store(true, Ordering::Relaxed);
        self.names_messages.store(true, Ordering::Relaxed);
    }

    pub fn is_tapped(&self) -> bool {
        self.tapped.load(Ordering::Relaxed)
    }
}
