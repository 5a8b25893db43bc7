//! What survives the process: sessions, messages that they have still to get, retained messages. Kept as records of the
//! event log, so that they share its way to the disk; without a log nothing is kept.

use std::collections::{HashSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tidewire_model::append::StateChange;
use tidewire_node_api::broker::Qos;
use tidewire_node_api::handles::{HandleError, Log};
use tokio::sync::Notify;

use crate::message::Message;
use crate::outbox::{Counted, Delivery, Tags};
use crate::tree::{Options, SessionKey};
use crate::window::Slot;

/// All keys begin with it.
const PREFIX: &str = "mqtt/";
/// Bytes that are handed to the log together: well below what it takes at once.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// A session, without what it has still to get.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct SessionRecord {
    pub(crate) client_id: String,
    pub(crate) user: Option<String>,
    pub(crate) expiry: u32,
    pub(crate) subscriptions: Vec<(String, Options)>,
    /// When it was left; `None` while somebody uses it.
    pub(crate) left_at: Option<i64>,
}

/// A message that a session has still to get.
#[derive(Debug, Serialize, Deserialize)]
struct DeliveryRecord {
    message: Message,
    qos: u8,
    retain: bool,
    tags: Vec<u32>,
    packet_id: u16,
    released: bool,
}

/// What was kept.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub(crate) sessions: Vec<(SessionKey, SessionRecord)>,
    /// In the order of their sequence numbers.
    pub(crate) deliveries: Vec<(SessionKey, Delivery)>,
    /// Packet ids of exactly-once messages that a client may send again.
    pub(crate) received: Vec<(SessionKey, Vec<u16>)>,
    pub(crate) retained: Vec<(u64, Message)>,
    /// Keys of records that cannot be read.
    pub(crate) unreadable: Vec<String>,
}

/// Who learns that a record is on disk, or could not be written.
pub(crate) enum Waiting {
    Nobody,
    /// A message that is to be answered.
    Answer(Rc<Slot>),
    /// A client that has released the id of an exactly-once message.
    Release {
        session: SessionKey,
        generation: u64,
        packet_id: u16,
    },
}

impl From<Option<Rc<Slot>>> for Waiting {
    fn from(slot: Option<Rc<Slot>>) -> Self {
        slot.map_or(Waiting::Nobody, Waiting::Answer)
    }
}

struct Change {
    change: StateChange,
    waiting: Waiting,
}

/// Changes on their way to the log.
pub(crate) struct Store {
    log: Option<Arc<dyn Log>>,
    changes: VecDeque<Change>,
    pub(crate) wake: Rc<Notify>,
}

fn session_key(key: SessionKey) -> String {
    format!("{PREFIX}session/{key:016x}")
}

fn received_key(key: SessionKey) -> String {
    format!("{PREFIX}received/{key:016x}")
}

fn delivery_key(key: SessionKey, seq: u64) -> String {
    format!("{PREFIX}queue/{key:016x}/{seq:016x}")
}

fn retained_key(number: u64) -> String {
    format!("{PREFIX}retained/{number:016x}")
}

impl Store {
    pub(crate) fn new(log: Option<Arc<dyn Log>>) -> Self {
        Store { log, changes: VecDeque::new(), wake: Rc::default() }
    }

    pub(crate) fn log(&self) -> Option<Arc<dyn Log>> {
        self.log.clone()
    }

    /// Whether anything survives the process.
    pub(crate) fn keeps(&self) -> bool {
        self.log.is_some()
    }

    fn change(&mut self, key: String, value: Option<Bytes>, waiting: Waiting) {
        if self.log.is_none() {
            return;
        }
        if let Waiting::Answer(slot) = &waiting {
            slot.expect();
        }
        self.changes.push_back(Change { change: StateChange { key: key.into(), value }, waiting });
        self.wake.notify_one();
    }

    fn put(&mut self, key: String, value: &impl Serialize, waiting: Waiting) {
        match postcard::to_stdvec(value) {
            Ok(bytes) => self.change(key, Some(bytes.into()), waiting),
            Err(error) => tracing::error!(key, %error, "mqtt record could not be encoded"),
        }
    }

    pub(crate) fn put_session(&mut self, key: SessionKey, record: &SessionRecord) {
        self.put(session_key(key), record, Waiting::Nobody);
    }

    pub(crate) fn remove_session(&mut self, key: SessionKey) {
        self.change(session_key(key), None, Waiting::Nobody);
        self.change(received_key(key), None, Waiting::Nobody);
    }

    /// Stores a message that a session has still to get; `waiting` learns when it is on disk.
    pub(crate) fn put_delivery(&mut self, key: SessionKey, delivery: &Delivery, waiting: Option<Rc<Slot>>) {
        let record = DeliveryRecord {
            message: Message::clone(&delivery.message),
            qos: delivery.qos.as_u8(),
            retain: delivery.retain,
            tags: delivery.tags.to_vec(),
            packet_id: delivery.packet_id,
            released: delivery.released,
        };
        self.put(delivery_key(key, delivery.seq), &record, waiting.into());
    }

    pub(crate) fn remove_delivery(&mut self, key: SessionKey, seq: u64) {
        self.change(delivery_key(key, seq), None, Waiting::Nobody);
    }

    pub(crate) fn put_received(&mut self, key: SessionKey, ids: &HashSet<u16>, waiting: Waiting) {
        self.put(received_key(key), ids, waiting);
    }

    pub(crate) fn put_retained(&mut self, number: u64, message: &Message, waiting: Option<Rc<Slot>>) {
        self.put(retained_key(number), message, waiting.into());
    }

    pub(crate) fn remove_retained(&mut self, number: u64, waiting: Option<Rc<Slot>>) {
        self.change(retained_key(number), None, waiting.into());
    }

    /// The oldest changes, and who waits for them to be on disk.
    pub(crate) fn take(&mut self) -> (Vec<StateChange>, Vec<Waiting>) {
        let (mut changes, mut waiting, mut bytes) = (Vec::new(), Vec::new(), 0);
        while bytes < BATCH_BYTES
            && let Some(Change { change, waiting: by }) = self.changes.pop_front()
        {
            bytes += change.key.len() + change.value.as_ref().map_or(0, Bytes::len);
            changes.push(change);
            if !matches!(by, Waiting::Nobody) {
                waiting.push(by);
            }
        }
        (changes, waiting)
    }
}

/// Reads everything that was kept.
///
/// # Errors
/// When the log cannot be read. Single records that cannot be understood are left out and named.
pub(crate) async fn load(log: &dyn Log) -> Result<Kept, HandleError> {
    let mut kept = Kept::default();
    for (key, value) in log.records(PREFIX).await? {
        if kept.add(&key, &value).is_none() {
            kept.unreadable.push(key.to_string());
        }
    }
    kept.deliveries.sort_by_key(|(_, delivery)| delivery.seq);
    Ok(kept)
}

impl Kept {
    fn add(&mut self, key: &str, value: &[u8]) -> Option<()> {
        let mut parts = key.strip_prefix(PREFIX)?.split('/');
        let kind = parts.next()?;
        let number = u64::from_str_radix(parts.next()?, 16).ok()?;
        match kind {
            "session" => self.sessions.push((number, postcard::from_bytes(value).ok()?)),
            "received" => self.received.push((number, postcard::from_bytes(value).ok()?)),
            "retained" => self.retained.push((number, postcard::from_bytes(value).ok()?)),
            "queue" => {
                let seq = u64::from_str_radix(parts.next()?, 16).ok()?;
                let record: DeliveryRecord = postcard::from_bytes(value).ok()?;
                let delivery = Delivery {
                    seq,
                    message: Arc::new(record.message),
                    qos: Qos::from_u8(record.qos)?,
                    retain: record.retain,
                    tags: Tags::from_vec(record.tags),
                    packet_id: record.packet_id,
                    duplicate: false,
                    released: record.released,
                    stored: true,
                    kept: true,
                    counted: Counted::Not,
                    waiting: None,
                };
                self.deliveries.push((number, delivery));
            }
            _ => return None,
        }
        Some(())
    }
}
