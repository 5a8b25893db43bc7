//! Counters of nodes and wires. Each has one writer, so counting is a plain load and store.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tidewire_model::{Message, NodeId, Value};

/// A counter that only one task writes.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Adds. Invariant: only the owning task calls this.
    pub fn add(&self, amount: u64) {
        self.0.store(self.0.load(Ordering::Relaxed).wrapping_add(amount), Ordering::Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a node's task counts.
#[derive(Debug, Default)]
pub struct NodeCounters {
    pub received: Counter,
    pub errors: AtomicU64,
    pub dropped: Counter,
    pub busy_ns: Counter,
    /// Messages sent per port; ports beyond the eighth are counted together with it.
    pub sent: [Counter; 8],
}

impl NodeCounters {
    pub fn add_sent(&self, port: usize, amount: u64) {
        if let Some(counter) = self.sent.get(port.min(self.sent.len() - 1)) {
            counter.add(amount);
        }
    }
}

/// What a wire's sender counts.
#[derive(Debug, Default)]
pub struct WireCounters {
    pub total: Counter,
    pub dropped: Counter,
    pub blocked_ns: Counter,
}

/// The last message that passed, and recent numbers.
#[derive(Debug, Default)]
pub struct Recent(Mutex<RecentValues>);

#[derive(Debug, Default)]
struct RecentValues {
    last: Option<(Message, i64)>,
    numbers: Vec<f64>,
}

/// Numbers kept per node, for the sparkline.
const NUMBERS: usize = 32;

impl Recent {
    /// Remembers a message: the last of a batch, so that a busy node pays once per batch.
    pub fn remember(&self, message: &Message, now_ms: i64) {
        let mut recent = self.0.lock();
        if let Some(number) = message.payload().as_f64() {
            if recent.numbers.len() == NUMBERS {
                recent.numbers.remove(0);
            }
            recent.numbers.push(number);
        }
        recent.last = Some((message.clone(), now_ms));
    }

    pub fn last(&self) -> Option<Last> {
        let recent = self.0.lock();
        recent.last.as_ref().map(|(message, time_ms)| Last {
            value: message.payload().clone(),
            topic: message.topic().map(str::to_owned),
            time_ms: *time_ms,
        })
    }

    pub fn numbers(&self) -> Vec<f64> {
        self.0.lock().numbers.clone()
    }
}

/// The last message of a node.
#[derive(Debug, Clone)]
pub struct Last {
    pub value: Value,
    pub topic: Option<String>,
    /// Milliseconds since 1970.
    pub time_ms: i64,
}

/// A node's figures at one moment.
#[derive(Debug, Clone)]
pub struct NodeStats {
    pub id: NodeId,
    pub type_name: String,
    pub received: u64,
    /// Per output port.
    pub sent: Vec<u64>,
    pub errors: u64,
    pub dropped: u64,
    pub busy_ns: u64,
    pub queue: usize,
    pub last: Option<Last>,
    pub recent: Vec<f64>,
}

/// A wire's figures at one moment.
#[derive(Debug, Clone)]
pub struct WireStats {
    pub from: NodeId,
    pub port: usize,
    pub to: NodeId,
    pub total: u64,
    pub dropped: u64,
    pub blocked_ns: u64,
}

/// All figures at one moment.
#[derive(Debug, Clone, Default)]
pub struct Stats {
    pub nodes: Vec<NodeStats>,
    pub wires: Vec<WireStats>,
}
