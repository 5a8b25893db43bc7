//! Messages: what travels on wires.
//!
//! A message is one reference-counted block: fan-out copies a pointer, and a node that writes to a shared message
//! gets its own copy first. The acknowledgement token travels beside the message, never in it.

mod codec;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use compact_str::CompactString;
use serde::{Deserialize, Serialize};

use crate::value::{Map, Path, Value};

/// Where a message came from: kept so that "why did this happen" has an answer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// Ids of the events this message was made from.
    pub causes: Vec<String>,
    /// The first cause of the whole chain.
    pub correlation: Option<String>,
    /// The command it belongs to.
    pub command: Option<String>,
    /// Identity of the message at its source: the same when the source brings it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingest: Option<CompactString>,
}

/// What is to be known about a message besides its properties.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flags {
    /// Comes out of a replay; effects are withheld.
    pub replayed: bool,
    /// Was a retained MQTT message: a state that is known, not something that just happened.
    pub retained: bool,
    /// Its event time is older than what was already processed.
    pub late: bool,
}

/// A message: an object value (`payload`, `topic`, anything) with a hidden envelope.
#[derive(Debug, Clone)]
pub struct Message(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    id: u64,
    /// Text form of `id`, made when somebody asks for `_msgid`.
    id_text: OnceLock<Value>,
    hops: u32,
    flags: Flags,
    provenance: Option<Arc<Provenance>>,
    /// Rough size, 0 while nobody asked since the last change.
    weight: AtomicU32,
    /// All properties but `_msgid`, unless a node set that one itself.
    body: Map,
}

impl Clone for Inner {
    fn clone(&self) -> Self {
        Inner {
            id: self.id,
            id_text: self.id_text.clone(),
            hops: self.hops,
            flags: self.flags,
            provenance: self.provenance.clone(),
            weight: AtomicU32::new(self.weight.load(Ordering::Relaxed)),
            body: self.body.clone(),
        }
    }
}

const MSGID: &str = "_msgid";

/// Parts of a value that are looked at for its weight: enough to be about right, few enough for every hop.
const LOOKS: usize = 64;

impl Message {
    /// A message with the given identity and properties. An `_msgid` property in `body` takes precedence over `id`.
    pub fn new(id: u64, body: Map) -> Self {
        Message(Arc::new(Inner {
            id,
            id_text: OnceLock::new(),
            hops: 0,
            flags: Flags::default(),
            provenance: None,
            weight: AtomicU32::new(0),
            body,
        }))
    }

    /// A message with only a payload.
    pub fn with_payload(id: u64, payload: impl Into<Value>) -> Self {
        let mut body = Map::with_capacity(4);
        body.insert("payload", payload);
        Message::new(id, body)
    }

    /// The number behind a generated `_msgid`.
    pub fn id(&self) -> u64 {
        self.0.id
    }

    /// Gives the message another generated identity.
    pub fn set_id(&mut self, id: u64) {
        let inner = Arc::make_mut(&mut self.0);
        inner.id = id;
        inner.id_text = OnceLock::new();
        *inner.weight.get_mut() = 0;
        inner.body.remove(MSGID);
    }

    pub fn body(&self) -> &Map {
        &self.0.body
    }

    /// The properties for writing; copied first if the message is shared.
    pub fn body_mut(&mut self) -> &mut Map {
        let inner = Arc::make_mut(&mut self.0);
        *inner.weight.get_mut() = 0;
        &mut inner.body
    }

    /// A property of the message itself.
    pub fn get(&self, key: &str) -> Option<&Value> {
        if key == MSGID { Some(self.msgid()) } else { self.0.body.get(key) }
    }

    /// `_msgid`: what a node set, else 16 hexadecimal digits made from the id.
    pub fn msgid(&self) -> &Value {
        self.0
            .body
            .get(MSGID)
            .unwrap_or_else(|| self.0.id_text.get_or_init(|| Value::from(format!("{:016x}", self.0.id))))
    }

    pub fn set(&mut self, key: &str, value: impl Into<Value>) {
        self.body_mut().insert(key, value);
    }

    pub fn payload(&self) -> &Value {
        self.0.body.get("payload").unwrap_or(&Value::Undefined)
    }

    pub fn set_payload(&mut self, value: impl Into<Value>) {
        self.set("payload", value);
    }

    /// The topic as text, if there is one.
    pub fn topic(&self) -> Option<&str> {
        self.0.body.get("topic").and_then(Value::as_str)
    }

    /// The value at a property path (`payload.t`), without the leading `msg.`.
    pub fn get_path(&self, path: &Path) -> Option<&Value> {
        match path.single_key() {
            Some(key) => self.get(key),
            None => path.get(&self.0.body),
        }
    }

    /// Sets the value at a property path; see [`Path::set`].
    pub fn set_path(&mut self, path: &Path, value: Value, create: bool) -> bool {
        if let (Some(key), false) = (path.single_key(), value.is_undefined()) {
            self.set(key, value);
            return true;
        }
        path.set(self.body_mut(), value, create)
    }

    pub fn flags(&self) -> Flags {
        self.0.flags
    }

    pub fn set_flags(&mut self, flags: Flags) {
        Arc::make_mut(&mut self.0).flags = flags;
    }

    pub fn provenance(&self) -> Option<&Arc<Provenance>> {
        self.0.provenance.as_ref()
    }

    pub fn set_provenance(&mut self, provenance: Arc<Provenance>) {
        Arc::make_mut(&mut self.0).provenance = Some(provenance);
    }

    /// Number of nodes it has been through on wires that close a loop.
    pub fn hops(&self) -> u32 {
        self.0.hops
    }

    pub fn add_hop(&mut self) -> u32 {
        let inner = Arc::make_mut(&mut self.0);
        inner.hops += 1;
        inner.hops
    }

    /// The message has waited: whatever loop it goes round in does not run wild.
    pub fn reset_hops(&mut self) {
        if self.0.hops > 0 {
            Arc::make_mut(&mut self.0).hops = 0;
        }
    }

    /// A new message with this one's envelope and other properties.
    pub fn derive(&self, id: u64, body: Map) -> Message {
        Message(Arc::new(Inner {
            id,
            id_text: OnceLock::new(),
            hops: self.0.hops,
            flags: self.0.flags,
            provenance: self.0.provenance.clone(),
            weight: AtomicU32::new(0),
            body,
        }))
    }

    /// The whole message as an object, `_msgid` included.
    pub fn to_value(&self) -> Value {
        let mut map = Map::with_capacity(self.0.body.len() + 1);
        map.insert(MSGID, self.msgid().clone());
        for (key, value) in self.0.body.iter() {
            map.insert(key, value.clone());
        }
        Value::object(map)
    }

    /// Rough size in memory, in bytes. Remembered until the message changes.
    pub fn weight(&self) -> usize {
        match self.0.weight.load(Ordering::Relaxed) {
            0 => self.find_weight(),
            weight => weight as usize,
        }
    }

    #[cold]
    fn find_weight(&self) -> usize {
        let parts = self.0.body.iter().map(|(key, value)| key.len() + value.weight_of(LOOKS));
        let weight = 96 + parts.sum::<usize>();
        self.0.weight.store(u32::try_from(weight).unwrap_or(u32::MAX), Ordering::Relaxed);
        weight
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_writer_gets_its_own_copy_of_a_shared_message() {
        let first = Message::with_payload(1, 5);
        let mut second = first.clone();
        second.set("topic", "a");
        assert_eq!(first.topic(), None);
        assert_eq!(second.topic(), Some("a"));
        assert_eq!(first.msgid(), second.msgid());
    }

    #[test]
    fn the_weight_follows_changes_and_is_about_right_for_large_values() {
        let mut message = Message::with_payload(1, "x".repeat(1_000));
        let (before, copy) = (message.weight(), message.clone());
        assert!((1_000..1_300).contains(&before));
        message.set("more", "y".repeat(500));
        assert!(message.weight() >= before + 500);
        assert_eq!(copy.weight(), before);
        let numbers = Value::array((0..10_000).map(Value::from).collect());
        assert!((300_000..500_000).contains(&numbers.weight()));
    }

    #[test]
    fn a_message_id_set_by_a_node_stands() {
        let mut message = Message::with_payload(0xabc, 1);
        assert_eq!(message.get("_msgid").and_then(Value::as_str), Some("0000000000000abc"));
        message.set("_msgid", "mine");
        assert_eq!(message.to_value().to_json(), r#"{"_msgid":"mine","payload":1}"#);
    }
}
