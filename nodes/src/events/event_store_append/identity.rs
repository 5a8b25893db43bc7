//! Ids of the events that a node appends.
//!
//! A message that was made from an event gets an id derived from it, the node, and how many different messages the same
//! cause has brought here before; so a repetition of the step after a crash gives the same ids in the same order. A
//! message that a source may bring again, such as an MQTT message of QoS 1, gets an id derived from its identity there
//! and what is stored. One that nothing is known of gets a fresh ULID.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use compact_str::CompactString;
use smallvec::SmallVec;
use tidewire_model::event::{EventId, NewEvent, StreamName};
use tidewire_model::value::write_json;
use tidewire_model::{Message, Value};
use tidewire_node_api::Ctx;

use crate::shared::fnv::fnv64;

/// Causes remembered per generation; the older of two generations is forgotten when the newer one is full.
const CAUSES_MAX: usize = 8_192;

/// Hashes of what a cause has brought, in order.
type Brought = HashMap<CompactString, SmallVec<[u64; 1]>>;

pub(super) struct Identity {
    node: String,
    newer: Brought,
    older: Brought,
}

impl Identity {
    pub(super) fn new(node: &str) -> Self {
        Identity { node: node.to_owned(), newer: Brought::new(), older: Brought::new() }
    }

    /// The id of an event that follows from others. The same event from the same causes gets the same id.
    pub(super) fn derived(&mut self, causes: &[String], stream: &StreamName, event: &NewEvent) -> EventId {
        let cause = match causes {
            [cause] => CompactString::from(cause),
            causes => CompactString::from(causes.join(",")),
        };
        let mut hasher = DefaultHasher::new();
        (stream.as_str(), event.event_type.as_str(), event.data.as_ref(), said(event)).hash(&mut hasher);
        let content = hasher.finish();
        if self.newer.len() >= CAUSES_MAX {
            self.older = std::mem::take(&mut self.newer);
        }
        if let Some(brought) = self.older.remove(&cause) {
            self.newer.insert(cause.clone(), brought);
        }
        let brought = self.newer.entry(cause.clone()).or_default();
        let index = brought.iter().position(|other| *other == content).unwrap_or_else(|| {
            brought.push(content);
            brought.len() - 1
        });
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        EventId::derived(&EventId::from(cause.as_str()), &self.node, 0, index)
    }

    /// The id of an event that follows from a message which its source may bring again. It depends on what is stored, and
    /// on the message's place among the parts of a split one: equal parts are different events.
    pub(super) fn ingested(&self, ingest: &str, message: &Message, stream: &StreamName, event: &NewEvent) -> EventId {
        let part = message.get("parts").and_then(|parts| parts.get("index").and_then(Value::as_f64)).unwrap_or(-1.0);
        let part = part.to_bits().to_be_bytes();
        let said = said(event);
        let (stream, event_type) = (stream.as_str().as_bytes(), event.event_type.as_str().as_bytes());
        let content = [stream, event_type, &part, event.data.as_ref(), &said];
        let hash = fnv64(content.into_iter().flat_map(|bytes| bytes.iter().chain(&[0xFF])));
        EventId::derived(&EventId::from(format!("{ingest}/{hash:016x}")), &self.node, 0, 0)
    }

    /// The id of an event that begins a chain.
    pub(super) fn fresh(&self, ctx: &Ctx<'_>) -> EventId {
        let now = u64::try_from(ctx.now_ms()).unwrap_or_default();
        let random = u128::from(ctx.random()) << 64 | u128::from(ctx.random());
        EventId::from(ulid::Ulid::from_parts(now, random))
    }
}

/// What an event's extension attributes say.
fn said(event: &NewEvent) -> Vec<u8> {
    let mut json = Vec::new();
    if let Some(extensions) = event.extensions.to_value() {
        write_json(&extensions, &mut json);
    }
    json
}
