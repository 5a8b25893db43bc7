//! Changes on their way from the read model to the node's output.
//!
//! The read model never waits for the flow. So when the flow is slow for long, all but the latest change of each key are
//! skipped, and counted.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use tidewire_model::{Map, Message};
use tidewire_node_api::handles::Entry;
use tidewire_node_api::{Batch, Delivery, Feed};
use tokio::sync::Notify;

/// Changes that wait before any is skipped.
const WAITING_MAX: usize = 10_000;
/// Changes handed over at a time.
const BATCH: usize = 256;

pub(super) struct Backlog {
    projection: String,
    queue: Mutex<Queue>,
    wake: Notify,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Entry>,
    skipped: u64,
}

impl Queue {
    /// Keeps the latest change of each key, and of those no more than there is room for.
    fn shorten(&mut self) {
        let before = self.waiting.len();
        let mut seen = HashSet::new();
        let mut latest: VecDeque<Entry> = VecDeque::new();
        for entry in self.waiting.drain(..).rev() {
            if seen.len() < WAITING_MAX / 2 && seen.insert(entry.key.clone()) {
                latest.push_front(entry);
            }
        }
        self.skipped += (before - latest.len()) as u64;
        self.waiting = latest;
    }
}

impl Backlog {
    pub(super) fn new(projection: String) -> Self {
        Backlog { projection, queue: Mutex::default(), wake: Notify::new() }
    }

    pub(super) fn push(&self, entries: &[Entry]) {
        let mut queue = self.queue.lock();
        queue.waiting.extend(entries.iter().cloned());
        if queue.waiting.len() > WAITING_MAX {
            queue.shorten();
        }
        drop(queue);
        self.wake.notify_one();
    }

    /// How many changes were never sent.
    pub(super) fn skipped(&self) -> u64 {
        self.queue.lock().skipped
    }

    fn take(&self) -> Batch {
        let mut queue = self.queue.lock();
        let count = queue.waiting.len().min(BATCH);
        queue.waiting.drain(..count).map(|entry| self.delivery(entry)).collect()
    }

    fn delivery(&self, entry: Entry) -> Delivery {
        let mut body = Map::with_capacity(5);
        body.insert("topic", entry.key);
        body.insert("payload", entry.value);
        body.insert("projection", self.projection.as_str());
        body.insert("position", entry.position.get());
        body.insert("time", entry.time);
        // The node gives it an identity when it sends it.
        Delivery::from_source(Message::new(0, body), None)
    }

    /// Feeds the node, as fast as it has room.
    pub(super) async fn run(self: Arc<Self>, feed: Arc<dyn Feed>) {
        loop {
            self.wake.notified().await;
            loop {
                let mut batch = self.take();
                if batch.is_empty() {
                    break;
                }
                feed.feed(&mut batch);
                while !batch.is_empty() {
                    feed.wait_room().await;
                    feed.feed(&mut batch);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidewire_model::Value;
    use tidewire_model::position::Position;

    #[test]
    fn a_slow_flow_gets_the_latest_of_each_key_in_order() {
        let backlog = Backlog::new("p".into());
        for position in 1..=WAITING_MAX as u64 + 1 {
            let key = format!("thing-{}", position % 3);
            backlog.push(&[Entry { key, value: Value::Int(1), position: Position::new(position), time: 0 }]);
        }
        let left: Vec<u64> = backlog.queue.lock().waiting.iter().map(|entry| entry.position.get()).collect();
        assert_eq!(left, [9_999, 10_000, 10_001]);
        assert_eq!(backlog.skipped(), 9_998);
    }
}
