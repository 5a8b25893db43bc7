//! What happened in a replay, in order.

use std::sync::Arc;

use parking_lot::Mutex;
use serde::Serialize;
use tidewire_model::event::Event;
use tidewire_model::{NodeId, Value};

use super::clock::VirtualClock;
use crate::clock::Clock;
use crate::observe::{TapDir, TapFrame};

/// One thing that happened.
#[derive(Debug, Clone, Serialize)]
pub struct Entry {
    /// Virtual time, milliseconds since 1970.
    pub time: i64,
    /// The node that did it, or at which it was seen. For MQTT that is the node of the connection.
    pub node: NodeId,
    #[serde(flatten)]
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum What {
    /// Seen at a tapped node.
    Seen { dir: TapDir, port: Option<usize>, message: Value },
    /// An event that would have been appended. Its position is one of the replay's own log.
    Appended { event: Arc<Event> },
    /// An append that would have been refused.
    Refused { stream: String, reason: String },
    /// A request that would have been sent. Secrets in it are placeholders.
    Requested { method: String, url: String, body: Value },
    /// A message that would have been published over MQTT.
    Published { topic: String, payload: Value, qos: u8, retain: bool },
}

/// Takes down what happens, up to a limit.
pub struct Trace {
    clock: VirtualClock,
    limit: usize,
    entries: Mutex<Vec<Entry>>,
}

impl Trace {
    pub fn new(clock: VirtualClock, limit: usize) -> Self {
        Trace { clock, limit, entries: Mutex::default() }
    }

    pub fn add(&self, node: &NodeId, what: What) {
        let mut entries = self.entries.lock();
        if entries.len() <= self.limit {
            entries.push(Entry { time: self.clock.now_ms(), node: node.clone(), what });
        }
    }

    pub fn seen(&self, frame: TapFrame) {
        let TapFrame { node, dir, port, message, .. } = frame;
        self.add(&node, What::Seen { dir, port, message });
    }

    pub fn len(&self) -> usize {
        self.entries.lock().len()
    }

    /// More happened than may be taken down.
    pub fn is_full(&self) -> bool {
        self.len() > self.limit
    }

    pub fn take(&self) -> Vec<Entry> {
        let mut entries = std::mem::take(&mut *self.entries.lock());
        entries.truncate(self.limit);
        entries
    }
}

/// Bytes as a person reads them: text where they are text.
pub fn readable(bytes: &bytes::Bytes) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => Value::string(text),
        Err(_) => Value::Bytes(bytes.clone()),
    }
}
