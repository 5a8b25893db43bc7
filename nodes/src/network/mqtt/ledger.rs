//! Messages of QoS 1 and 2 that have come and are not acknowledged, kept so that another process recognises them.
//!
//! Each message gets an identity. Before it goes on its way, a record of its packet id, the hash of its content and its
//! identity is in the log's queue, before everything that the message will cause. When a sender repeats a message after
//! a crash, it is found there and gets the same identity, so that what it caused already is not caused again. A sender
//! repeats in the order in which it sent: an entry that was passed over is not needed any more.
//!
//! There is one record per sender. It is written when messages come, not when they are acknowledged: what a device was
//! answered meanwhile is left out the next time. Until then a message that is repeated *and* has the packet id and content
//! of one that was acknowledged just before a crash is taken for that one. Acknowledgements to a broker elsewhere may be
//! lost on their way, and brokers count packet ids up: of theirs the last ones are remembered a while longer.

use super::link::Received;
use crate::shared::fnv::fnv64;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use compact_str::{CompactString, format_compact};
use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    hash::{BuildHasher, RandomState},
    sync::Arc,
};
use tidewire_model::append::StateChange;
use tidewire_node_api::handles::{BoxFuture, Durable, HandleError, Log, Records};

/// Entries that are remembered of one sender: more than any broker lets be under way.
const ENTRIES_MAX: usize = 4_096;

/// Messages of a broker elsewhere that are remembered although they are acknowledged.
const ANSWERED_MAX: usize = 128;

#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    packet_id: u16,
    content: u64,
    identity: CompactString,
    /// It has come on this connection and is not acknowledged. The others may be repeated.
    open: bool,
}

/// What is remembered of one sender, in the order in which it sent.
#[derive(Debug, Default)]
struct Account {
    entries: VecDeque<Entry>,
    /// How many of them are not open.
    earlier: usize,
}

impl Account {
    /// The identity of a message that is repeated. An entry whose packet id another message has now is forgotten.
    fn find(&mut self, packet_id: u16, content: u64, repeated: bool) -> Option<CompactString> {
        if self.earlier == 0 {
            return None;
        }
        let at = self.entries.iter().position(|entry| !entry.open && entry.packet_id == packet_id)?;
        let entry = self.entries.get_mut(at)?;
        if !repeated || entry.content != content {
            self.entries.remove(at);
            self.earlier -= 1;
            return None;
        }
        entry.open = true;
        let identity = entry.identity.clone();
        let mut index = 0;
        self.entries.retain(|entry| {
            index += 1;
            entry.open || index > at
        });
        self.earlier = self.entries.iter().filter(|entry| !entry.open).count();
        Some(identity)
    }
}

/// See the module.
pub(super) struct Ledger {
    log: Arc<dyn Log>,
    /// Begin of the keys of all its records.
    prefix: String,
    accounts: HashMap<CompactString, Account>,
    /// Sender and identity of what is open, by the number under which it is acknowledged.
    open: HashMap<u64, (CompactString, CompactString)>,
    changed: BTreeSet<CompactString>,
    /// Tells apart the lives of the process.
    life: u64,
    next: u64,
}

impl Ledger {
    /// `name` tells apart the connections of one process, and is the same in the next one.
    pub(super) fn new(log: Arc<dyn Log>, name: &str) -> Self {
        let prefix = format!("mqtt-in/{}", short(name, 80));
        let life = RandomState::new().hash_one(std::process::id());
        Self { log, prefix, accounts: HashMap::new(), open: HashMap::new(), changed: BTreeSet::new(), life, next: 0 }
    }

    /// Asks for what earlier processes left; the answer goes to [`Ledger::restore`].
    pub(super) fn load(&self) -> BoxFuture<Result<Records, HandleError>> {
        self.log.records(&self.prefix)
    }

    pub(super) fn restore(&mut self, records: Records) {
        for (key, value) in records {
            let Some(rest) = key.strip_prefix(self.prefix.as_str()) else { continue };
            let sender = match rest.strip_prefix('/') {
                Some(sender) => sender,
                None if rest.is_empty() => "",
                // A longer name that begins the same.
                None => continue,
            };
            let entries = read(value);
            self.accounts.insert(sender.into(), Account { earlier: entries.len(), entries });
        }
    }

    /// The identity of a message that has come.
    pub(super) fn identify(&mut self, received: &Received) -> CompactString {
        let author = received.local.as_ref().and_then(|local| local.author.as_ref());
        let sender = author.map_or(CompactString::default(), |author| short(&author.client_id, 80));
        let packet_id = author.map_or(received.packet_id, |author| author.packet_id);
        let repeated = author.map_or(received.duplicate, |author| author.duplicate || received.duplicate);
        let content = content(&received.topic, &received.payload);
        let account = self.accounts.entry(sender.clone()).or_default();
        let identity = account.find(packet_id, content, repeated).unwrap_or_else(|| {
            self.next += 1;
            let identity = format_compact!("{:x}-{:x}", self.life, self.next);
            account.entries.push_back(Entry { packet_id, content, identity: identity.clone(), open: true });
            identity
        });
        if account.entries.len() > ENTRIES_MAX
            && let Some(oldest) = account.entries.pop_front()
        {
            account.earlier -= usize::from(!oldest.open);
        }
        let number = received.local.as_ref().map_or(u64::from(received.packet_id), |local| local.delivery);
        self.open.insert(number, (sender.clone(), identity.clone()));
        self.changed.insert(sender);
        identity
    }

    /// A message has been acknowledged: by its packet id, or the number that the broker of this process gave it.
    pub(super) fn acknowledged(&mut self, number: u64) {
        let Some((sender, identity)) = self.open.remove(&number) else { return };
        let Some(account) = self.accounts.get_mut(&sender) else { return };
        let Some(at) = account.entries.iter().position(|entry| entry.identity == identity) else { return };
        if !sender.is_empty() {
            account.entries.remove(at);
            return;
        }
        if let Some(entry) = account.entries.get_mut(at) {
            entry.open = false;
            account.earlier += 1;
        }
        if account.earlier > ANSWERED_MAX
            && let Some(oldest) = account.entries.iter().position(|entry| !entry.open)
        {
            account.entries.remove(oldest);
            account.earlier -= 1;
        }
    }

    /// The connection is over: what is open may be repeated.
    pub(super) fn on_lost(&mut self) {
        self.open.clear();
        for account in self.accounts.values_mut() {
            account.entries.iter_mut().for_each(|entry| entry.open = false);
            account.earlier = account.entries.len();
        }
    }

    /// Hands the records of the senders that have changed to the log: the future resolves when they are in its queue.
    pub(super) fn write(&mut self) -> BoxFuture<Result<Durable, HandleError>> {
        let changed = std::mem::take(&mut self.changed);
        let changes = changed.into_iter().filter_map(|sender| {
            let account = self.accounts.get(&sender)?;
            let value = written(account);
            let slash = if sender.is_empty() { "" } else { "/" };
            let key = format_compact!("{}{slash}{sender}", self.prefix);
            if account.entries.is_empty() {
                self.accounts.remove(&sender);
            }
            Some(StateChange { key, value })
        });
        let changes = changes.collect();
        self.log.put(changes)
    }
}

/// A hash of a message that is the same in every process.
fn content(topic: &[u8], payload: &[u8]) -> u64 {
    fnv64(topic.iter().chain(&[0]).chain(payload))
}

/// A name that fits into a key; a long one is cut and told apart by its hash.
fn short(name: &str, max: usize) -> CompactString {
    if name.len() <= max {
        return name.into();
    }
    let end = (0..=max - 17).rev().find(|at| name.is_char_boundary(*at)).unwrap_or(0);
    format_compact!("{}~{:016x}", name.get(..end).unwrap_or_default(), content(name.as_bytes(), &[]))
}

fn written(account: &Account) -> Option<Bytes> {
    if account.entries.is_empty() {
        return None;
    }
    let mut out = BytesMut::with_capacity(account.entries.len() * 36);
    for entry in &account.entries {
        let identity = entry.identity.as_bytes();
        out.put_u16(entry.packet_id);
        out.put_u64(entry.content);
        out.put_u8(u8::try_from(identity.len()).unwrap_or(0));
        out.put_slice(identity);
    }
    Some(out.freeze())
}

/// The entries of a record, as far as they can be read.
fn read(mut record: Bytes) -> VecDeque<Entry> {
    let mut entries = VecDeque::new();
    while record.len() >= 11 {
        let (packet_id, content, length) = (record.get_u16(), record.get_u64(), usize::from(record.get_u8()));
        if record.len() < length {
            break;
        }
        let Ok(identity) = CompactString::from_utf8(record.split_to(length)) else { break };
        entries.push_back(Entry { packet_id, content, identity, open: false });
    }
    entries
}

#[cfg(test)]
mod tests;
