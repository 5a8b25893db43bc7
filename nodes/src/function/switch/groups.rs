//! Sequences held until they are complete, and numbered anew.

use std::collections::HashMap;

use tidewire_model::{Message, Value};
use tidewire_node_api::{NodeError, Token};

/// Most messages held at a time.
const HELD_MAX: usize = 10_000;

/// A message with its token.
pub(super) struct Held {
    pub(super) message: Message,
    pub(super) token: Option<Token>,
}

#[derive(Default)]
struct Group {
    count: Option<usize>,
    held: Vec<Held>,
}

/// Sequences under way, by `parts.id`.
#[derive(Default)]
pub(super) struct Groups {
    groups: HashMap<String, Group>,
    total: usize,
}

fn part(message: &Message, key: &str) -> Option<Value> {
    message.get("parts").and_then(|parts| parts.get(key)).filter(|value| !value.is_nullish()).cloned()
}

/// Whether the message belongs to a sequence.
pub(super) fn is_part(message: &Message) -> bool {
    part(message, "id").is_some() && part(message, "index").is_some()
}

impl Groups {
    /// Takes a message; gives the whole sequence, in order of arrival and with its size, once it is complete.
    ///
    /// # Errors
    /// Too many messages wait; all of them are dropped.
    pub(super) fn add(&mut self, held: Held) -> Result<Option<Vec<Held>>, NodeError> {
        let id = part(&held.message, "id").unwrap_or_default().to_text().into_owned();
        let count = part(&held.message, "count").and_then(|count| usize::try_from(count.as_i64()?).ok());
        let group = self.groups.entry(id.clone()).or_default();
        group.count = count.or(group.count);
        group.held.push(held);
        self.total += 1;
        match group.count {
            Some(count) if count <= group.held.len() => {
                let mut held = self.groups.remove(&id).map(|group| group.held).unwrap_or_default();
                self.total -= held.len();
                for Held { message, .. } in &mut held {
                    set_parts(message, [("count", Value::from(count))]);
                }
                Ok(Some(held))
            }
            _ if self.total > HELD_MAX => {
                self.groups.clear();
                self.total = 0;
                Err(NodeError::new("too many pending messages in switch node").with_code("switch.errors.too-many"))
            }
            _ => Ok(None),
        }
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
