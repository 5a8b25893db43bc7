//! What is remembered of one sender: which messages it may repeat, and which of them can be told from new ones.
//!
//! A message that was not answered is remembered. One that was answered may still be repeated, as long as the answer has
//! not arrived; how far answers to devices of this process's broker got is known up to the socket, of a broker
//! elsewhere nothing. Nor does a mark as repeated say that a message has been here: it may have been lost on its way.
//! So an answered message must not be taken for a new one with the same packet id and content: that one would be lost.
//!
//! Most senders count their packet ids up. What they have not sent before has an id above their last one, or, where they
//! begin again at the bottom, the id at which their count began. So while ids go up, everything since then but its first
//! message can be told from news, and the last ones are remembered: twice as many as have been under way at once. Of a
//! sender that uses ids again at once nothing is remembered once its answer is on its way. One gap is left, for such a
//! sender only: what was answered after its last record was written may come again as far as the next process knows.
//!
//! A sender repeats in the order in which it sent, and before it goes on: what it passed over it has got an answer to.
//! The same says an id that is used for something new.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use compact_str::{CompactString, format_compact};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    ops::RangeInclusive,
    sync::Arc,
};
use tidewire_node_api::broker::Device;

/// Entries that are remembered of one sender: more than any broker lets be under way.
const ENTRIES_MAX: usize = 4_096;
/// Of them, those that are acknowledged: more than the broker of this process lets be under way.
const KEPT_MAX: usize = 256;
/// And how many at least, of a device …
const KEPT_MIN: usize = 32;
/// … and of a broker elsewhere: there is only one.
const KEPT_OF_BROKER: usize = 128;
/// Entries of one record.
const BLOCK: u64 = 32;
/// How far packet ids go up from one message to the next: what comes to others lies between.
const STEPS: RangeInclusive<u16> = 1..=128;

/// What a message is called, in every life of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) life: u64,
    pub(super) number: u64,
}

impl Identity {
    pub(super) fn text(self) -> CompactString {
        format_compact!("{:x}-{:x}", self.life, self.number)
    }
}

/// A message that has come.
pub(super) struct Coming<'a> {
    pub(super) packet_id: u16,
    pub(super) content: u32,
    /// The sender says that it may have sent it before.
    pub(super) repeated: bool,
    /// The device that waits for an answer, and its number for the message.
    pub(super) author: Option<(&'a Arc<Device>, u64)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It has come on this connection and is not acknowledged.
    Open,
    /// It came on an earlier connection, or in an earlier life.
    Waiting,
    Acknowledged,
}

#[derive(Debug)]
struct Entry {
    /// Grows from entry to entry.
    place: u64,
    identity: Identity,
    content: u32,
    /// Its number at the device; 0 where nobody can tell how far answers got.
    number: u64,
    packet_id: u16,
    state: State,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Account {
    /// In the order in which they were sent.
    entries: VecDeque<Entry>,
    /// How many of them are in either state.
    open: usize,
    acknowledged: usize,
    device: Option<Arc<Device>>,
    /// New messages in a row whose packet ids went up, with the first.
    run: u32,
    /// The packet id of the last new message.
    newest: u16,
    next_place: u64,
    last: u64,
    /// Some entries are waiting.
    waits: bool,
    /// Records that do not say what they should.
    stale: Vec<u64>,
    /// The most that were open at once, among the last messages and those before.
    peaks: [usize; 2],
    since_peak: usize,
}

impl Account {
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_open(&self) -> bool {
        self.open > 0
    }

    /// The number of the last message that this life has named, else 0.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// Takes in a message; returns its place, and its identity: `news` unless it has been here before.
    pub(super) fn enter(&mut self, coming: &Coming<'_>, news: Identity) -> (u64, Identity) {
        self.meet(coming.author.map(|(device, _)| device));
        self.last = news.number;
        let number = coming.author.map_or(0, |(_, number)| number);
        if self.waits && !coming.repeated {
            self.waits = false;
            self.pass_over(self.entries.len());
        }
        let found = if coming.repeated { self.find(coming.packet_id, coming.content) } else { None };
        let entered = match found {
            Some(at) => self.reopen(at, number),
            None => Some(self.add(coming, number, news)),
        };
        self.trim();
        entered.unwrap_or((0, news))
    }

    /// Whose messages these are. When the broker has forgotten the device, its old connection gets no more answers.
    fn meet(&mut self, device: Option<&Arc<Device>>) {
        let Some(device) = device else { return };
        let same = self.device.as_ref().is_some_and(|known| Arc::ptr_eq(known, device));
        if same {
            return;
        }
        let before = self.device.replace(Arc::clone(device));
        for entry in self.entries.iter_mut().filter(|entry| entry.number > 0) {
            let answered = before.as_ref().is_some_and(|before| before.is_answered(entry.number));
            entry.number = if answered { 0 } else { u64::MAX };
        }
    }

    fn find(&self, packet_id: u16, content: u32) -> Option<usize> {
        let fits = |entry: &Entry| entry.packet_id == packet_id;
        let waiting = self.entries.iter().position(|entry| entry.state == State::Waiting && fits(entry));
        let at = waiting.or_else(|| self.entries.iter().rposition(fits))?;
        let entry = self.entries.get(at)?;
        (entry.content == content && self.may_come(at, entry)).then_some(at)
    }

    /// Whether a message that is marked as repeated can be this one.
    fn may_come(&self, at: usize, entry: &Entry) -> bool {
        if entry.state != State::Acknowledged || self.device.as_ref().is_some_and(|it| !it.is_answered(entry.number)) {
            return true;
        }
        self.entries.len() - at < self.run as usize
    }

    /// The sender did not repeat the first of these, and repeats them no more.
    fn pass_over(&mut self, count: usize) {
        for entry in self.entries.iter_mut().take(count).filter(|entry| entry.state == State::Waiting) {
            (entry.state, entry.number) = (State::Acknowledged, 0);
            self.acknowledged += 1;
        }
    }

    /// An entry has come again.
    fn reopen(&mut self, at: usize, number: u64) -> Option<(u64, Identity)> {
        let entry = self.entries.get_mut(at)?;
        self.acknowledged -= usize::from(entry.state == State::Acknowledged);
        self.open += usize::from(entry.state != State::Open);
        entry.state = State::Open;
        entry.number = number;
        let known = (entry.place, entry.identity);
        self.pass_over(at);
        Some(known)
    }

    fn add(&mut self, coming: &Coming<'_>, number: u64, identity: Identity) -> (u64, Identity) {
        let up = self.run > 0 && STEPS.contains(&coming.packet_id.wrapping_sub(self.newest));
        // While ids go up, none is used twice.
        if !up || (self.run as usize) < self.entries.len() {
            self.used_again(coming.packet_id);
        }
        self.run = if up { self.run.saturating_add(1) } else { 1 };
        self.newest = coming.packet_id;
        let place = self.next_place;
        self.next_place += 1;
        self.mark(place);
        let (content, packet_id) = (coming.content, coming.packet_id);
        self.entries.push_back(Entry { place, identity, content, number, packet_id, state: State::Open });
        self.open += 1;
        self.since_peak += 1;
        if self.since_peak > KEPT_MAX {
            (self.peaks, self.since_peak) = ([0, self.peaks[0]], 0);
        }
        self.peaks[0] = self.peaks[0].max(self.open);
        (place, identity)
    }

    /// The sender has this id for something new: it has got its answers up to there.
    fn used_again(&mut self, packet_id: u16) {
        let same = |entry: &Entry| entry.packet_id == packet_id && entry.state != State::Open;
        let last = self.entries.iter().rposition(same).map_or(0, |at| at + 1);
        for at in (0..last).rev() {
            if self.entries.get(at).is_some_and(|entry| entry.state != State::Open) {
                self.forget(at, true);
            }
        }
    }

    pub(super) fn acknowledged(&mut self, place: u64) {
        let Ok(at) = self.entries.binary_search_by_key(&place, |entry| entry.place) else { return };
        if let Some(entry) = self.entries.get_mut(at).filter(|entry| entry.state == State::Open) {
            entry.state = State::Acknowledged;
            self.open -= 1;
            self.acknowledged += 1;
            self.trim();
        }
    }

    pub(super) fn on_lost(&mut self) {
        (self.open, self.waits) = (0, true);
        self.entries.iter_mut().filter(|entry| entry.state == State::Open).for_each(|it| it.state = State::Waiting);
    }

    /// Forgets what will not come again, oldest first.
    fn trim(&mut self) {
        let least = if self.device.is_some() { KEPT_MIN } else { KEPT_OF_BROKER };
        let kept_max = (2 * self.peaks[0].max(self.peaks[1])).clamp(least, KEPT_MAX);
        while let Some(at) = self.entries.iter().position(|entry| entry.state == State::Acknowledged) {
            let may_come = self.entries.get(at).is_some_and(|entry| self.may_come(at, entry));
            if may_come && self.acknowledged <= kept_max {
                break;
            }
            self.forget(at, !may_come);
        }
        while self.entries.len() > ENTRIES_MAX {
            self.forget(0, false);
        }
    }

    /// Forgets an entry; with `at_once` its record is to do so too. Else it may wait until all of the record is old.
    fn forget(&mut self, at: usize, at_once: bool) {
        let Some(Entry { place, state, .. }) = self.entries.remove(at) else { return };
        self.open -= usize::from(state == State::Open);
        self.acknowledged -= usize::from(state == State::Acknowledged);
        let near = [at.checked_sub(1), Some(at)].into_iter().flatten();
        let shared = near.filter_map(|at| self.entries.get(at)).any(|entry| entry.place / BLOCK == place / BLOCK);
        if at_once || !shared {
            self.mark(place);
        }
    }

    fn mark(&mut self, place: u64) {
        if !self.stale.contains(&(place / BLOCK)) {
            self.stale.push(place / BLOCK);
        }
    }

    /// The numbers of all its records.
    pub(super) fn records(&self) -> BTreeSet<u64> {
        self.entries.iter().map(|entry| entry.place / BLOCK).chain(self.stale.iter().copied()).collect()
    }

    /// The records that have changed, each with its number; none in place of one of which nothing may come again.
    pub(super) fn written(&mut self) -> Vec<(u64, Option<Bytes>)> {
        self.trim();
        let stale = std::mem::take(&mut self.stale);
        stale.into_iter().map(|number| (number, self.record(number))).collect()
    }

    fn record(&self, number: u64) -> Option<Bytes> {
        let first = self.entries.partition_point(|entry| entry.place < number * BLOCK);
        let mut out = BytesMut::with_capacity(16 + 13 * 32);
        out.put_u32(self.run);
        out.put_u16(self.newest);
        let mut life = None;
        for (at, entry) in self.entries.iter().enumerate().skip(first) {
            if entry.place / BLOCK != number {
                break;
            }
            if !self.may_come(at, entry) {
                continue;
            }
            // One life after the other: few records hold more than one.
            let same = life == Some(entry.identity.life);
            out.put_u8(u8::from(same));
            if !same {
                out.put_u64(entry.identity.life);
                life = Some(entry.identity.life);
            }
            out.put_uint(entry.identity.number, 6);
            out.put_u16(entry.packet_id);
            out.put_u32(entry.content);
        }
        life.map(|_| out.freeze())
    }

    /// What its records say, oldest first, as far as they can be read.
    pub(super) fn read(records: BTreeMap<u64, Bytes>) -> Self {
        let mut account = Account::default();
        for (number, record) in records {
            account.next_place = number * BLOCK;
            account.read_record(record);
            account.next_place = (number + 1) * BLOCK;
        }
        // So that all of it may stay.
        (account.peaks[0], account.waits) = (account.entries.len().div_ceil(2), true);
        account
    }

    fn read_record(&mut self, mut record: Bytes) {
        if record.len() < 6 {
            return;
        }
        (self.run, self.newest) = (record.get_u32(), record.get_u16());
        let mut life = 0;
        while let Some(same) = record.first() {
            let head = if *same == 0 { 9 } else { 1 };
            if record.len() < head + 12 {
                break;
            }
            if record.get_u8() == 0 {
                life = record.get_u64();
            }
            let identity = Identity { life, number: record.get_uint(6) };
            let (packet_id, content, place) = (record.get_u16(), record.get_u32(), self.next_place);
            self.next_place += 1;
            let state = State::Waiting;
            self.entries.push_back(Entry { place, identity, content, number: 0, packet_id, state });
        }
    }
}
