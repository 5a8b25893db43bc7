//! The messages that wait, in order. Every step costs the same however many there are, but for a logarithm.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use tidewire_model::{Message, Value};

use crate::shared::held::{Held, NEVER};

#[derive(Default)]
pub(super) struct Line {
    /// By rank.
    held: BTreeMap<i64, Held>,
    /// Due time and rank of those that have one.
    due: BTreeSet<(i64, i64)>,
    /// Rank of the message of each topic.
    topics: HashMap<String, i64>,
}

/// What tells topics apart: their type counts, as with `===`.
fn topic(message: &Message) -> Option<String> {
    match message.get("topic")? {
        Value::String(text) => Some(format!("s{text}")),
        other => Some(format!("v{}", other.to_json())),
    }
}

impl Line {
    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// The rank behind all others.
    pub(super) fn back(&self) -> i64 {
        self.held.last_key_value().map_or(0, |(rank, _)| rank + 1)
    }

    /// The rank before all others.
    pub(super) fn front(&self) -> i64 {
        self.held.first_key_value().map_or(0, |(rank, _)| rank - 1)
    }

    /// Puts a message at its rank, or behind all others if that is taken.
    pub(super) fn insert(&mut self, mut held: Held) {
        if self.held.contains_key(&held.entry.rank) {
            held.entry.rank = self.back();
        }
        let rank = held.entry.rank;
        if held.entry.due != NEVER {
            self.due.insert((held.entry.due, rank));
        }
        if let Some(topic) = topic(&held.entry.message) {
            self.topics.insert(topic, rank);
        }
        self.held.insert(rank, held);
    }

    fn take(&mut self, rank: i64) -> Option<Held> {
        let held = self.held.remove(&rank)?;
        self.due.remove(&(held.entry.due, rank));
        if let Some(topic) = topic(&held.entry.message)
            && self.topics.get(&topic) == Some(&rank)
        {
            self.topics.remove(&topic);
        }
        Some(held)
    }

    pub(super) fn take_first(&mut self) -> Option<Held> {
        let rank = *self.held.first_key_value()?.0;
        self.take(rank)
    }

    /// The message that waits with this one's topic.
    pub(super) fn take_topic(&mut self, message: &Message) -> Option<Held> {
        let rank = *self.topics.get(&topic(message)?)?;
        self.take(rank)
    }

    /// The next message that is due.
    pub(super) fn take_due(&mut self, now_ms: i64) -> Option<Held> {
        let (_, rank) = *self.due.first().filter(|(due, _)| *due <= now_ms)?;
        self.take(rank)
    }

    pub(super) fn next_due(&self) -> Option<i64> {
        self.due.first().map(|(due, _)| *due)
    }

    /// All of them, in order.
    pub(super) fn take_all(&mut self) -> Vec<Held> {
        self.due.clear();
        self.topics.clear();
        std::mem::take(&mut self.held).into_values().collect()
    }
}
