//! Sequences held until they are complete, and numbered anew.

use std::collections::HashMap;

use compact_str::CompactString;
use tidewire_model::{Message, Value};

use crate::shared::held::Held;

#[derive(Default)]
struct Group {
    count: Option<usize>,
    held: Vec<Held>,
}

/// Sequences under way, by `parts.id`.
#[derive(Default)]
pub(super) struct Groups {
    groups: HashMap<CompactString, Group>,
    total: usize,
}

fn part(message: &Message, key: &str) -> Option<Value> {
    message.get("parts").and_then(|parts| parts.get(key)).filter(|value| !value.is_nullish()).cloned()
}

/// The sequence that the message is a part of.
pub(super) fn sequence(message: &Message) -> Option<CompactString> {
    part(message, "index")?;
    part(message, "id").map(|id| CompactString::new(id.to_text()))
}

impl Groups {
    /// Messages held.
    pub(super) fn total(&self) -> usize {
        self.total
    }

    /// Takes a message, labelled with its sequence; gives the whole sequence, in order of arrival and with its size,
    /// once it is complete.
    pub(super) fn add(&mut self, held: Held) -> Option<Vec<Held>> {
        let count = part(&held.entry.message, "count").and_then(|count| usize::try_from(count.as_i64()?).ok());
        let id = held.entry.label.clone();
        let group = self.groups.entry(id.clone()).or_default();
        group.count = count.or(group.count);
        group.held.push(held);
        self.total += 1;
        let count = group.count.filter(|count| *count <= group.held.len())?;
        let mut held = self.groups.remove(&id).map(|group| group.held).unwrap_or_default();
        self.total -= held.len();
        for Held { entry, .. } in &mut held {
            set_parts(&mut entry.message, [("count", Value::from(count))]);
        }
        Some(held)
    }

    /// Everything that is held, in order of arrival.
    pub(super) fn take_all(&mut self) -> Vec<Held> {
        self.total = 0;
        let mut all: Vec<Held> = self.groups.drain().flat_map(|(_, group)| group.held).collect();
        all.sort_by_key(|held| held.entry.rank);
        all
    }
}

fn set_parts<const N: usize>(message: &mut Message, entries: [(&str, Value); N]) {
    if let Some(parts) = message.body_mut().get_mut("parts").and_then(Value::as_object_mut) {
        for (key, value) in entries {
            parts.insert(key, value);
        }
    }
}

/// New `parts` for each output.
pub(super) struct Numbering {
    counts: Vec<usize>,
    next: Vec<usize>,
    ids: Vec<Option<Value>>,
}

impl Numbering {
    /// Counts what each of `outputs` outputs will get.
    pub(super) fn new<'p>(outputs: usize, routes: impl Iterator<Item = &'p [usize]>) -> Numbering {
        let mut counts = vec![0; outputs];
        for port in routes.flatten() {
            if let Some(count) = counts.get_mut(*port) {
                *count += 1;
            }
        }
        Numbering { counts, next: vec![0; outputs], ids: vec![None; outputs] }
    }

    /// The message with its number at this output; each output has a sequence id of its own.
    pub(super) fn number(&mut self, port: usize, mut message: Message, new_id: impl Fn() -> u64) -> Message {
        let (Some(count), Some(next), Some(id)) =
            (self.counts.get(port), self.next.get_mut(port), self.ids.get_mut(port))
        else {
            return message;
        };
        let id = id.get_or_insert_with(|| Value::from(format!("{:016x}", new_id()))).clone();
        set_parts(&mut message, [("id", id), ("index", Value::from(*next)), ("count", Value::from(*count))]);
        *next += 1;
        message
    }
}
