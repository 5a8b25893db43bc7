//! Counters of nodes and wires. Each has one writer, so counting is a plain load and store.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tidewire_model::{Message, NodeId, Value};

use crate::inbox::{Amount, Budget};
use crate::slot::Slot;
use crate::wiring::Target;

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

/// Sizes of batches are counted in classes: 1, 2, 4, 8, 16, 32, 64 and more messages.
pub const BATCH_CLASSES: usize = 8;

/// What a node's task counts.
#[derive(Debug, Default)]
pub struct NodeCounters {
    pub received: Counter,
    pub errors: AtomicU64,
    pub dropped: Counter,
    pub busy_ns: Counter,
    /// Messages sent per port; ports beyond the eighth are counted together with it.
    pub sent: [Counter; 8],
    /// Activations by the number of messages they were given.
    pub batches: [Counter; BATCH_CLASSES],
}

impl NodeCounters {
    pub fn add_sent(&self, port: usize, amount: u64) {
        if let Some(counter) = self.sent.get(port.min(self.sent.len() - 1)) {
            counter.add(amount);
        }
    }

    /// Counts an activation with this many messages.
    pub fn add_batch(&self, messages: u64) {
        let class = messages.checked_ilog2().unwrap_or(0) as usize;
        if let Some(counter) = self.batches.get(class.min(BATCH_CLASSES - 1)) {
            counter.add(1);
        }
    }
}

/// What a wire's sender counts.
#[derive(Debug)]
pub struct WireCounters {
    /// What deliveries over this wire carry, so that an inbox can tell wires apart. Never 0.
    pub number: u32,
    /// Messages put on the wire, dropped ones included.
    pub total: Counter,
    pub dropped: Counter,
    /// Time its sender waited, but for a wait under way.
    blocked_ns: Counter,
    /// When the wait under way began, as nanoseconds on the clock of this module; 0 for none.
    blocked_since: AtomicU64,
    warned_at: AtomicU64,
}

static NEXT_WIRE: AtomicU32 = AtomicU32::new(1);
static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Pause between warnings about one wire.
const WARN_AGAIN: Duration = Duration::from_secs(10);

fn now_ns() -> u64 {
    u64::try_from(EPOCH.elapsed().as_nanos()).unwrap_or(u64::MAX).max(1)
}

impl Default for WireCounters {
    fn default() -> Self {
        WireCounters {
            number: NEXT_WIRE.fetch_add(1, Ordering::Relaxed).max(1),
            total: Counter::default(),
            dropped: Counter::default(),
            blocked_ns: Counter::default(),
            blocked_since: AtomicU64::new(0),
            warned_at: AtomicU64::new(0),
        }
    }
}

/// A wait of a sender; it ends when this goes.
pub struct Blocked<'a>(&'a WireCounters);

impl Drop for Blocked<'_> {
    fn drop(&mut self) {
        let since = self.0.blocked_since.swap(0, Ordering::Relaxed);
        self.0.blocked_ns.add(now_ns().saturating_sub(since));
    }
}

impl WireCounters {
    /// Its sender begins to wait.
    pub fn block(&self) -> Blocked<'_> {
        self.blocked_since.store(now_ns(), Ordering::Relaxed);
        Blocked(self)
    }

    /// Time its sender has waited up to now.
    pub fn blocked_ns(&self) -> u64 {
        let under_way = match self.blocked_since.load(Ordering::Relaxed) {
            0 => 0,
            since => now_ns().saturating_sub(since),
        };
        self.blocked_ns.get() + under_way
    }

    /// Whether it is time to warn about this wire again.
    pub fn warn_again(&self) -> bool {
        let (now, last) = (now_ns(), self.warned_at.load(Ordering::Relaxed));
        let due = last == 0 || u128::from(now - last.min(now)) > WARN_AGAIN.as_nanos();
        if due {
            self.warned_at.store(now, Ordering::Relaxed);
        }
        due
    }
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
    /// Activations by the number of messages they were given: 1, 2 or 3, 4 to 7, and so on, 128 and more.
    pub batches: [u64; BATCH_CLASSES],
    /// Messages that wait in front of it.
    pub queue: usize,
    /// Their size in memory.
    pub queue_bytes: usize,
    /// Those of them beyond the limit, from wires that close a loop.
    pub overflow: usize,
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
    /// Time its sender has waited.
    pub blocked_ns: u64,
    /// Messages from this wire that wait in front of the target.
    pub queue: usize,
    /// Their size in memory.
    pub queue_bytes: usize,
    /// What happens when the target is full.
    pub policy: &'static str,
    /// Closes a loop: its sender never waits.
    pub feedback: bool,
}

/// All figures at one moment.
#[derive(Debug, Clone, Default)]
pub struct Stats {
    pub nodes: Vec<NodeStats>,
    pub wires: Vec<WireStats>,
    /// Bytes in all inboxes.
    pub inbox_bytes: usize,
    /// Where sources stop is at 80 % of this.
    pub inbox_bytes_limit: usize,
}

impl Stats {
    /// All figures of these slots now.
    pub fn of<'a>(slots: impl Iterator<Item = (&'a NodeId, &'a Arc<Slot>)> + Clone, budget: &Budget) -> Stats {
        let mut stats = Stats::default();
        (stats.inbox_bytes, stats.inbox_bytes_limit) = budget.figures();
        // What waits, by the number of the wire it came over.
        let mut waiting: HashMap<u32, Amount, foldhash::fast::RandomState> = HashMap::default();
        for (id, slot) in slots.clone() {
            slot.inbox.look(|wire, bytes| {
                let amount = waiting.entry(wire).or_default();
                amount.messages += 1;
                amount.bytes += bytes;
            });
            stats.nodes.push(NodeStats::of(id, slot));
        }
        for (id, slot) in slots {
            for (port, targets) in slot.table.load().ports.iter().enumerate() {
                stats.wires.extend(targets.iter().map(|target| WireStats::of(id, port, target, &waiting)));
            }
        }
        stats
    }
}

impl NodeStats {
    fn of(id: &NodeId, slot: &Slot) -> NodeStats {
        let queue = slot.inbox.amount();
        let outputs = slot.table.load().ports.len().max(slot.meta.map_or(0, |meta| meta.outputs.len()));
        let counters = &slot.counters;
        NodeStats {
            id: id.clone(),
            type_name: slot.facts().type_name.to_string(),
            received: counters.received.get(),
            sent: counters.sent.iter().take(outputs).map(Counter::get).collect(),
            errors: counters.errors.load(Ordering::Relaxed),
            dropped: counters.dropped.get(),
            busy_ns: counters.busy_ns.get(),
            batches: std::array::from_fn(|class| counters.batches.get(class).map_or(0, Counter::get)),
            queue: queue.messages,
            queue_bytes: queue.bytes,
            overflow: slot.inbox.overflow(),
            last: slot.recent.last(),
            recent: slot.recent.numbers(),
        }
    }
}

impl WireStats {
    fn of(
        from: &NodeId,
        port: usize,
        target: &Target,
        waiting: &HashMap<u32, Amount, foldhash::fast::RandomState>,
    ) -> WireStats {
        let counters = &target.counters;
        let queue = waiting.get(&counters.number).copied().unwrap_or_default();
        WireStats {
            from: from.clone(),
            port,
            to: target.to.clone(),
            total: counters.total.get(),
            dropped: counters.dropped.get(),
            blocked_ns: counters.blocked_ns(),
            queue: queue.messages,
            queue_bytes: queue.bytes,
            policy: target.policy.name(),
            feedback: target.feedback,
        }
    }
}
