//! Messages of QoS 1 and 2 that may come again, kept so that another process recognises them.
//!
//! Each message gets an identity. Before it goes on its way, a record of its packet id, the hash of its content and its
//! identity is in the log's queue, before everything that the message will cause. When a sender repeats a message after
//! a crash, it is found there and gets the same identity, so that what it caused already is not caused again. Which
//! messages a sender may repeat, and which of them can be told from new ones, says [`account`].
//!
//! There are a few records per sender. Only the last one is written again and again: when messages come, not when they
//! are acknowledged.

mod account;

use super::link::Received;
use crate::shared::fnv::fnv64;
use account::{Account, Coming, Identity};
use bytes::Bytes;
use compact_str::{CompactString, format_compact};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::{BuildHasher, RandomState},
    sync::Arc,
};
use tidewire_model::append::StateChange;
use tidewire_node_api::handles::{BoxFuture, Durable, HandleError, Log, Records};

/// Senders that are remembered: as many as the broker of this process lets in at once.
const ACCOUNTS_MAX: usize = 10_000;

/// See the module.
pub(super) struct Ledger {
    log: Arc<dyn Log>,
    /// Begin of the keys of all its records.
    prefix: String,
    accounts: HashMap<CompactString, Account>,
    /// Sender and place of what is open, by the number under which it is acknowledged.
    open: HashMap<u64, (CompactString, u64)>,
    /// Senders whose records are to be written.
    changed: BTreeSet<CompactString>,
    /// Keys of records that are to be removed.
    removed: Vec<CompactString>,
    /// Tells apart the lives of the process.
    life: u64,
    next: u64,
}

impl Ledger {
    /// `name` tells apart the connections of one process, and is the same in the next one.
    pub(super) fn new(log: Arc<dyn Log>, name: &str) -> Self {
        let prefix = format!("mqtt-in/{}", short(name, 80));
        let life = RandomState::new().hash_one(std::process::id());
        let (accounts, open, changed, removed) = Default::default();
        Self { log, prefix, accounts, open, changed, removed, life, next: 0 }
    }

    /// Asks for what earlier processes left; the answer goes to [`Ledger::restore`].
    pub(super) fn load(&self) -> BoxFuture<Result<Records, HandleError>> {
        self.log.records(&self.prefix)
    }

    pub(super) fn restore(&mut self, records: Records) {
        let mut of_senders: HashMap<CompactString, BTreeMap<u64, Bytes>> = HashMap::new();
        for (key, value) in records {
            // A longer name may begin the same.
            let rest = key.strip_prefix(self.prefix.as_str()).and_then(|rest| rest.strip_prefix('/'));
            let Some((number, sender)) = rest.and_then(|rest| rest.split_once('/')) else { continue };
            if let Ok(number) = u64::from_str_radix(number, 16) {
                of_senders.entry(sender.into()).or_default().insert(number, value);
            }
        }
        self.accounts = of_senders.into_iter().map(|(sender, records)| (sender, Account::read(records))).collect();
    }

    /// The identity of a message that has come.
    pub(super) fn identify(&mut self, received: &Received) -> CompactString {
        let author = received.local.as_ref().and_then(|local| local.author.as_ref());
        let sender = author.map_or(CompactString::default(), |author| short(author.device.client_id(), 80));
        let delivery = received.local.as_ref().map(|local| local.delivery);
        // What the broker of this process keeps for its receiver has no other number than that of its delivery.
        let packet_id = match (author, delivery) {
            (Some(author), _) => author.packet_id,
            (None, Some(delivery)) => u16::try_from(delivery & 0xffff).unwrap_or_default(),
            (None, None) => received.packet_id,
        };
        let coming = Coming {
            packet_id,
            content: content(&received.topic, &received.payload),
            repeated: received.duplicate || author.is_some_and(|author| author.duplicate),
            author: author.map(|author| (&author.device, author.number)),
        };
        self.next += 1;
        let news = Identity { life: self.life, number: self.next };
        let account = self.accounts.entry(sender.clone()).or_default();
        let (place, identity) = account.enter(&coming, news);
        self.open.insert(delivery.unwrap_or(u64::from(packet_id)), (sender.clone(), place));
        self.changed.insert(sender);
        self.forget_senders();
        identity.text()
    }

    /// A message has been acknowledged: by its packet id, or the number that the broker of this process gave it.
    pub(super) fn acknowledged(&mut self, number: u64) {
        let Some((sender, place)) = self.open.remove(&number) else { return };
        if let Some(account) = self.accounts.get_mut(&sender) {
            account.acknowledged(place);
        }
    }

    /// The connection is over: what is open may be repeated.
    pub(super) fn on_lost(&mut self) {
        self.open.clear();
        self.accounts.values_mut().for_each(Account::on_lost);
    }

    /// When there are too many, a tenth of the senders are forgotten: those that have been silent for longest.
    fn forget_senders(&mut self) {
        if self.accounts.len() <= ACCOUNTS_MAX {
            return;
        }
        let silent = self.accounts.iter().filter(|(_, account)| !account.is_open());
        let mut silent: Vec<_> = silent.map(|(sender, account)| (account.last(), sender.clone())).collect();
        silent.sort_unstable();
        for (_, sender) in silent.into_iter().take(ACCOUNTS_MAX / 10) {
            let records = self.accounts.remove(&sender).map(|account| account.records()).unwrap_or_default();
            self.removed.extend(records.into_iter().map(|number| key(&self.prefix, number, &sender)));
        }
    }

    /// Hands the records of the senders that have changed to the log: the future resolves when they are in its queue.
    pub(super) fn write(&mut self) -> BoxFuture<Result<Durable, HandleError>> {
        let mut changes: Vec<_> = self.removed.drain(..).map(|key| StateChange { key, value: None }).collect();
        for sender in std::mem::take(&mut self.changed) {
            let records = self.accounts.get_mut(&sender).map(Account::written).unwrap_or_default();
            let records = records.into_iter();
            changes
                .extend(records.map(|(number, value)| StateChange { key: key(&self.prefix, number, &sender), value }));
        }
        self.log.put(changes)
    }
}

fn key(prefix: &str, number: u64, sender: &str) -> CompactString {
    format_compact!("{prefix}/{number:x}/{sender}")
}

/// A hash of a message that is the same in every process.
fn content(topic: &[u8], payload: &[u8]) -> u32 {
    let hash = fnv64(topic.iter().chain(&[0]).chain(payload));
    u32::try_from((hash ^ hash >> 32) & 0xffff_ffff).unwrap_or_default()
}

/// A name that fits into a key; a long one is cut and told apart by its hash.
fn short(name: &str, max: usize) -> CompactString {
    if name.len() <= max {
        return name.into();
    }
    let end = (0..=max - 17).rev().find(|at| name.is_char_boundary(*at)).unwrap_or(0);
    format_compact!("{}~{:016x}", name.get(..end).unwrap_or_default(), fnv64(name.as_bytes()))
}

#[cfg(test)]
mod tests;
