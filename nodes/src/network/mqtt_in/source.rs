//! The way of a message from the client thread into the node's inbox.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use bytestring::ByteString;
use parking_lot::Mutex;
use tidewire_model::message::{Flags, Provenance};
use tidewire_model::{Map, Message, Value};
use tidewire_node_api::{AckSink, Batch, Delivery, Feed, Outcome, Token};

use crate::network::mqtt::{Ack, AckOutcome, Incoming, Properties, Subscriber};
use crate::network::mqtt_broker::Seat;

/// What a payload becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Datatype {
    AutoDetect,
    Auto,
    Utf8,
    Buffer,
    Base64,
    Json,
}

impl Datatype {
    /// The datatype of this name.
    pub(super) fn named(name: &str) -> Option<Datatype> {
        Some(match name {
            "auto-detect" => Datatype::AutoDetect,
            "auto" => Datatype::Auto,
            "utf8" => Datatype::Utf8,
            "buffer" => Datatype::Buffer,
            "base64" => Datatype::Base64,
            "json" => Datatype::Json,
            _ => return None,
        })
    }
}

/// The payload should have been JSON and is not.
pub(super) struct Refused;

/// Marks a message whose payload could not be read. The client thread cannot report errors; the node does.
const REFUSED: &str = "\u{0}refused";

/// Whether the payload could not be read; takes the mark off.
pub(super) fn refused(message: &mut Message) -> Option<Refused> {
    // It is always the last property, and there are few.
    message.get(REFUSED)?;
    message.body_mut().remove(REFUSED);
    Some(Refused)
}

/// Told when the process ends.
#[derive(Debug, Clone, Default)]
pub(super) struct Closing(Arc<AtomicBool>);

impl Closing {
    pub(super) fn set(&self, closing: bool) {
        self.0.store(closing, Ordering::Release);
    }

    pub(super) fn reset(&mut self) {
        *self = Closing::default();
    }
}

/// Tells the broker how one message ended.
struct Answer {
    ack: Mutex<Option<Ack>>,
    closing: Closing,
}

impl AckSink for Answer {
    fn complete(&self, _id: u64, outcome: Outcome) {
        let Some(ack) = self.ack.lock().take() else { return };
        match outcome {
            Outcome::Done => ack.complete(AckOutcome::Done),
            Outcome::Dropped => ack.complete(AckOutcome::Dropped),
            // Given up because the process ends, not because anything failed: the broker is told nothing, and delivers
            // the message again.
            Outcome::Failed | Outcome::Lost if self.closing.0.load(Ordering::Acquire) => std::mem::forget(ack),
            Outcome::Failed => ack.complete(AckOutcome::Failed),
            Outcome::Lost => ack.complete(AckOutcome::Lost),
        }
    }
}

/// Takes messages on the client thread, in batches as large as the inbox has room for.
pub(super) struct Source {
    datatype: Datatype,
    local: bool,
    feed: Arc<dyn Feed>,
    closing: Closing,
    seat: OnceLock<Weak<Seat>>,
    /// Converted, but the inbox was full after all.
    waiting: Mutex<Batch>,
    /// Somebody waits for room already.
    asleep: Arc<AtomicBool>,
}

impl Source {
    pub(super) fn new(datatype: Datatype, local: bool, feed: Arc<dyn Feed>, closing: Closing) -> Source {
        let (seat, waiting, asleep) = (OnceLock::new(), Mutex::default(), Arc::default());
        Source { datatype, local, feed, closing, seat, waiting, asleep }
    }

    /// Tells where to ask for more once there is room again.
    pub(super) fn seated(&self, seat: &Arc<Seat>) {
        // Set once, right after subscribing; a second call would change nothing.
        let _ = self.seat.set(Arc::downgrade(seat));
    }

    fn message(&self, incoming: Incoming) -> Delivery {
        let Incoming { topic, payload, qos, retain, properties, ack, identity, .. } = incoming;
        let mut body = Map::with_capacity(5);
        let content_type = properties.as_ref().and_then(|properties| properties.content_type.as_deref());
        let payload = read(self.datatype, payload, content_type);
        body.insert("topic", topic.clone());
        let refused = match payload {
            Ok(payload) => {
                body.insert("payload", payload);
                false
            }
            Err(payload) => {
                body.insert("payload", payload);
                true
            }
        };
        body.insert("qos", i64::from(qos.as_u8()));
        body.insert("retain", retain);
        if self.local {
            body.insert("_topic", topic);
        }
        if let Some(properties) = properties {
            describe(&properties, &mut body);
        }
        if refused {
            body.insert(REFUSED, true);
        }
        let mut message = Message::new(0, body);
        if retain {
            message.set_flags(Flags { retained: true, ..Flags::default() });
        }
        if identity.is_some() {
            message.set_provenance(Arc::new(Provenance { ingest: identity, ..Provenance::default() }));
        }
        let token = ack
            .map(|ack| Token::new(Arc::new(Answer { ack: Mutex::new(Some(ack)), closing: self.closing.clone() }), 0));
        Delivery::from_source(message, token)
    }

    /// Has the rest offered again as soon as there is room.
    fn wait_for_room(&self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if self.asleep.swap(true, Ordering::AcqRel) {
            return;
        }
        let (room, seat, asleep) = (self.feed.wait_room(), self.seat.get().cloned(), Arc::clone(&self.asleep));
        runtime.spawn(async move {
            room.await;
            asleep.store(false, Ordering::Release);
            if let Some(seat) = seat.and_then(|seat| seat.upgrade()) {
                seat.resume();
            }
        });
    }
}

impl Subscriber for Source {
    fn deliver(&self, batch: &mut Vec<Incoming>) -> usize {
        let mut waiting = self.waiting.lock();
        if !waiting.is_empty() {
            self.feed.feed(&mut waiting);
        }
        let count = if waiting.is_empty() { self.feed.room().min(batch.len()) } else { 0 };
        let mut deliveries: Batch = batch.drain(..count).map(|incoming| self.message(incoming)).collect();
        self.feed.feed(&mut deliveries);
        waiting.append(&mut deliveries);
        if !batch.is_empty() || !waiting.is_empty() {
            self.wait_for_room();
        }
        count
    }
}

/// The payload as the datatype has it; what should have been JSON and is not comes back as text or bytes.
fn read(datatype: Datatype, payload: Bytes, content_type: Option<&str>) -> Result<Value, Value> {
    match datatype {
        Datatype::Buffer => Ok(Value::Bytes(payload)),
        Datatype::Base64 => Ok(Value::from(STANDARD.encode(&payload))),
        Datatype::Utf8 => Ok(Value::String(lossy(payload))),
        Datatype::Auto => Ok(text_or_bytes(payload)),
        Datatype::Json => Value::lazy_json(payload.clone()).map_err(|_| text_or_bytes(payload)),
        Datatype::AutoDetect => match content_type.map(str::trim).filter(|kind| !kind.is_empty()) {
            Some(kind) if kind.starts_with("application/json") || kind.contains("+json") => {
                Value::lazy_json(payload.clone()).map_err(|_| text_or_bytes(payload))
            }
            Some(kind) if kind.starts_with("text/") => Ok(Value::String(lossy(payload))),
            Some(kind) if is_binary(kind) => Ok(Value::Bytes(payload)),
            _ => Ok(detect(payload)),
        },
    }
}

fn is_binary(kind: &str) -> bool {
    ["application/octet-stream", "image/", "audio/", "video/"].iter().any(|start| kind.starts_with(start))
}

/// JSON if it is, else text if it is, else bytes.
pub(super) fn detect(payload: Bytes) -> Value {
    // Most text is no JSON, and its first character says so.
    let first = payload.iter().find(|b| !b.is_ascii_whitespace());
    if matches!(first, Some(b'{' | b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n'))
        && let Ok(value) = Value::lazy_json(payload.clone())
    {
        return value;
    }
    text_or_bytes(payload)
}

fn text_or_bytes(payload: Bytes) -> Value {
    match ByteString::try_from(payload.clone()) {
        Ok(text) => Value::String(text),
        Err(_) => Value::Bytes(payload),
    }
}

fn lossy(payload: Bytes) -> ByteString {
    ByteString::try_from(payload.clone())
        .unwrap_or_else(|_| ByteString::from(String::from_utf8_lossy(&payload).as_ref()))
}

/// MQTT 5 properties, by Node-RED's names.
fn describe(properties: &Properties, body: &mut Map) {
    if let Some(topic) = &properties.response_topic {
        body.insert("responseTopic", topic.as_str());
    }
    if let Some(data) = &properties.correlation_data {
        body.insert("correlationData", data.clone());
    }
    if let Some(kind) = &properties.content_type {
        body.insert("contentType", kind.as_str());
    }
    if let Some(seconds) = properties.message_expiry {
        body.insert("messageExpiryInterval", seconds);
    }
    if let Some(format) = properties.payload_format {
        body.insert("payloadFormatIndicator", format == 1);
    }
    if !properties.user.is_empty() {
        let user: Map = properties.user.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        body.insert("userProperties", user);
    }
}
