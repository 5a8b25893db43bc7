//! Routing: where the messages of a node's outputs go. Tables are swapped as a whole.

mod send;
mod tables;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tidewire_model::NodeId;
use tidewire_node_api::{Outcome, Token};

use crate::inbox::{Budget, Inbox, Policy, Way};
use crate::stats::WireCounters;

pub use send::{Scratch, send};
pub use tables::{problems, rewire, tables};

/// One wire as its sender sees it.
#[derive(Clone)]
pub struct Target {
    pub to: NodeId,
    pub inbox: Arc<Inbox>,
    pub counters: Arc<WireCounters>,
    /// Closes a loop: the sender never waits on it.
    pub feedback: bool,
    /// Leads into a loop from outside: the sender waits while the loop holds too much.
    pub entry: bool,
    pub policy: Policy,
}

impl Target {
    fn way(&self) -> Way {
        let Target { policy, feedback, entry, .. } = *self;
        Way { wire: self.counters.number, policy, feedback, entry, source: false, last_call: false }
    }
}

/// Targets per output port.
#[derive(Default)]
pub struct OutTable {
    pub ports: Vec<Vec<Target>>,
}

impl OutTable {
    pub fn targets(&self, port: usize) -> &[Target] {
        self.ports.get(port).map_or(&[], Vec::as_slice)
    }

    /// Counters of a wire that was there already, so that its figures go on.
    pub fn counters(&self, port: usize, to: &NodeId) -> Option<Arc<WireCounters>> {
        self.targets(port).iter().find(|target| target.to == *to).map(|target| target.counters.clone())
    }

    /// How messages get to this inbox from a port, if a wire leads there.
    fn way_to(&self, port: usize, inbox: &Arc<Inbox>) -> Option<Way> {
        self.targets(port).iter().find(|target| Arc::ptr_eq(&target.inbox, inbox)).map(Target::way)
    }
}

/// Limits that hold for all flows together.
pub struct GraphLimits {
    /// Memory of all inboxes.
    pub budget: Arc<Budget>,
    /// Times a message may go round in loops.
    pub max_hops: AtomicU32,
}

/// Rounds after which a message counts as caught in a loop.
const MAX_HOPS: u32 = 10_000;

impl Default for GraphLimits {
    fn default() -> Self {
        GraphLimits { budget: Arc::default(), max_hops: AtomicU32::new(MAX_HOPS) }
    }
}

impl GraphLimits {
    fn max_hops(&self) -> u32 {
        self.max_hops.load(Ordering::Relaxed)
    }
}

/// Ends a branch that has a token.
pub fn finish(token: Option<Token>, outcome: Outcome) {
    if let Some(token) = token {
        token.finish(outcome);
    }
}
