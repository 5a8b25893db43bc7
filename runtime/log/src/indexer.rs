//! The thread that brings commits into the store, behind the journal.
//!
//! It opens the store, catches up from the journal, then takes commits as they come. Only full blocks are
//! written; the few events of an unfinished one stay in memory and come from the journal again after a restart.
//! When the store fails it is opened anew, and rebuilt from the journal if need be.

use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use compact_str::CompactString;

use crate::LogError;
use crate::block::{BYTES_MAX, Waiting, full_block, put_block};
use crate::index::{SPAN, span_first};
use crate::journal::record::Record;
use crate::live::{Head, Live};
use crate::personal;
use crate::shared::{Phase, Shared};
use crate::store::{Batch, Space, Store, panic_text};
use crate::values::{Values, short_key};

mod opening;

pub(crate) use opening::Early;

/// How long it leaves commits that come one after another alone, so that not each of them wakes this thread.
const NAP: Duration = Duration::from_millis(1);
/// How long changes may wait in memory before they are brought to the disk.
const FLUSH_EVERY: Duration = Duration::from_secs(1);
/// How many blocks go into one step. sled writes and syncs a piece of its file per step, so a few large ones cost
/// much less than many small ones.
const BLOCKS_MAX: usize = 64;
/// Blocks are written when there are this many bytes of events …
const PACK_BYTES: usize = BLOCKS_MAX * BYTES_MAX;
/// … or after this time.
const PACK_EVERY: Duration = Duration::from_millis(50);
/// How much state may wait for the next step.
const STATE_MAX: usize = 256;
/// How often the store is opened anew before it is given up.
const RETRIES: usize = 5;
/// The store is not written while the disk has less than this left: sled does not survive a full disk.
pub(crate) const STORE_RESERVE: u64 = 2 * 1024 * 1024;
/// Appends are refused while the disk has less than this left, so that the store can take what was confirmed.
pub(crate) const JOURNAL_RESERVE: u64 = 8 * 1024 * 1024;
/// The name of the map that holds state.
pub(crate) const STATE: &str = "state";
/// Another layout of the store gets another name: a store without marks is built anew.
const META: &[u8] = b"meta/2";

/// What the indexer has to know of the journal.
#[derive(Debug, Clone)]
pub(crate) struct JournalFacts {
    pub(crate) log_id: u128,
    pub(crate) journal_folder: PathBuf,
    pub(crate) store_folder: PathBuf,
    /// The last commit and position when the journal was opened.
    pub(crate) commit: u64,
    pub(crate) position: u64,
    /// Whether the journal's end could be read; if not, only what the store has is served.
    pub(crate) intact: bool,
}

/// How far the store is, as it says itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    log_id: u128,
    /// Every event up to here is in a block.
    position: u64,
    /// Every commit up to here is in the store.
    commit: u64,
    /// So many spans are indexed.
    spans: u64,
}

impl Marks {
    fn write(&self, batch: &mut Batch) {
        let mut bytes = self.log_id.to_le_bytes().to_vec();
        for number in [self.position, self.commit, self.spans] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        batch.put(META, &bytes);
    }

    fn read(store: &Store) -> Result<Option<Self>, LogError> {
        let Some(bytes) = store.get(Space::Log, META)? else { return Ok(None) };
        let number = |at: usize| bytes.get(at..)?.first_chunk().copied().map(u64::from_le_bytes);
        let parse = || {
            let log_id = u128::from_le_bytes(*bytes.first_chunk()?);
            Some(Self { log_id, position: number(16)?, commit: number(24)?, spans: number(32)? })
        };
        parse().map(Some).ok_or_else(|| LogError::Store("its marks are damaged".to_owned()))
    }
}

/// Brings the store to the disk. Answers up to which commit it has everything, and the position of its last block.
pub(crate) fn flush(store: &Store) -> Result<(u64, u64), LogError> {
    let marks = Marks::read(store)?.unwrap_or_default();
    store.flush()?;
    Ok((marks.commit, marks.position))
}

/// Runs until the channel closes; the store is left flushed.
pub(crate) fn run(shared: &Shared, facts: &JournalFacts, mut early: Option<Early>, commits: &Receiver<Record>) {
    let _closing = shared.backlog.closing();
    let mut facts = facts.clone();
    for attempt in 0..RETRIES {
        let full = || {
            let reason = "the disk is full; free some space, it then goes on by itself";
            shared.set_phase(Phase::Failed(reason.to_owned()));
        };
        if !wait_for_room(shared, JOURNAL_RESERVE, full) {
            return;
        }
        shared.set_phase(Phase::Opening);
        let attempted =
            catch_unwind(AssertUnwindSafe(|| attempt_once(shared, &facts, early.take(), commits, attempt == 0)));
        let error = match attempted {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.full_text(),
            Err(panic) => panic_text(&*panic),
        };
        if shared.is_closing() {
            // The journal has everything; what the store lacks is made up at the next start.
            tracing::warn!(error, "indexed store failed while the log was closed");
            return;
        }
        tracing::warn!(error, attempt, "indexed store failed, opening it again");
        {
            let live = shared.live.read();
            facts.commit = facts.commit.max(live.commit);
            facts.position = facts.position.max(live.head);
        }
        // A store that failed may panic once more when it is closed.
        drop(catch_unwind(AssertUnwindSafe(|| shared.set_phase(Phase::Opening))));
        std::thread::sleep(FLUSH_EVERY);
    }
    let reason = "the indexed store failed again and again; see the log of the program, then restart".to_owned();
    shared.make_read_only(reason.clone());
    shared.set_phase(Phase::Failed(reason));
}

fn attempt_once(
    shared: &Shared,
    facts: &JournalFacts,
    early: Option<Early>,
    commits: &Receiver<Record>,
    first: bool,
) -> Result<(), LogError> {
    let mut indexer = {
        let _quiet = shared.quiet.lock();
        if !first {
            // Memory is built anew together with the store.
            let mut live = shared.live.write();
            *live = Live::new(live.keep_events);
        }
        let indexer = opening::open(shared, facts, early)?;
        personal::settle(shared, &indexer.store)?;
        shared.set_phase(Phase::Ready(Arc::clone(&indexer.store)));
        indexer
    };
    indexer.serve(commits)
}

/// Waits until the disk has room, and says once that it is `full`; false when the log is closed meanwhile.
fn wait_for_room(shared: &Shared, bytes: u64, full: impl FnOnce()) -> bool {
    let mut full = Some(full);
    while !shared.has_room(bytes) {
        if shared.is_closing() {
            return false;
        }
        if let Some(full) = full.take() {
            tracing::warn!("disk is full, indexed store waits for room");
            full();
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    true
}

pub(crate) struct Indexer<'a> {
    shared: &'a Shared,
    pub(crate) store: Arc<Store>,
    marks: Marks,
    /// The last commit taken in.
    commit: u64,
    waiting: VecDeque<Waiting>,
    waiting_bytes: usize,
    last_pack: Instant,
    /// Commits whose events are not all in blocks, with their last position.
    open_commits: VecDeque<(u64, u64)>,
    state: BTreeMap<CompactString, Option<Bytes>>,
    last_flush: Instant,
}

impl Indexer<'_> {
    fn serve(&mut self, commits: &Receiver<Record>) -> Result<(), LogError> {
        let mut took = false;
        loop {
            let patience = if full_block(self.waiting.iter()).is_some() { PACK_EVERY } else { FLUSH_EVERY };
            let mut next = commits.try_recv().map_err(|_| RecvTimeoutError::Timeout);
            if next.is_err() {
                if std::mem::take(&mut took) {
                    std::thread::sleep(NAP);
                }
                next = commits.recv_timeout(patience);
            }
            match next {
                Ok(record) => {
                    took = true;
                    let _leaving = self.shared.backlog.leaving(record.bytes.len());
                    self.take(&record)?;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    self.pack()?;
                    self.write_step(Batch::default(), self.marks.position)?;
                    return if self.shared.has_room(STORE_RESERVE) { self.store.flush() } else { Ok(()) };
                }
            }
            if self.last_pack.elapsed() >= PACK_EVERY {
                self.pack()?;
            }
            if self.last_flush.elapsed() >= FLUSH_EVERY {
                self.tick()?;
            }
        }
    }

    fn tick(&mut self) -> Result<(), LogError> {
        self.last_flush = Instant::now();
        if !self.state.is_empty() || self.open_commits.iter().any(|(_, last)| *last <= self.marks.position) {
            self.write_step(Batch::default(), self.marks.position)?;
        }
        if self.shared.has_room(STORE_RESERVE) && self.shared.take_store_changed() {
            self.shared.set_store_durable(flush(&self.store)?.0);
            self.store.refresh(self.shared.refresh_after)?;
        }
        Ok(())
    }

    /// Takes a commit in. One that is known already is skipped.
    pub(crate) fn take(&mut self, record: &Record) -> Result<(), LogError> {
        if record.commit <= self.commit {
            return Ok(());
        }
        self.commit = record.commit;
        let known = self.waiting.back().map_or(self.marks.position, |last| last.position);
        for (index, event) in record.events.iter().enumerate() {
            let position = event.position.get();
            if position > known
                && let Some(frame) = record.frame(index)
            {
                self.waiting_bytes += frame.len();
                self.waiting.push_back(Waiting { position, frame });
            }
        }
        self.open_commits.push_back((record.commit, record.last_position));
        for change in &record.state {
            self.state.insert(change.key.clone(), change.value.clone());
        }
        if self.waiting_bytes >= PACK_BYTES {
            self.pack()?;
        }
        if self.state.len() > STATE_MAX { self.write_step(Batch::default(), self.marks.position) } else { Ok(()) }
    }

    /// Writes all full blocks.
    fn pack(&mut self) -> Result<(), LogError> {
        self.last_pack = Instant::now();
        loop {
            let mut batch = Batch::default();
            let mut position = self.marks.position;
            let mut blocks = 0;
            while blocks < BLOCKS_MAX
                && let Some(count) = full_block(self.waiting.iter())
            {
                let block: Vec<Waiting> = self.waiting.drain(..count).collect();
                self.waiting_bytes -= block.iter().map(|event| event.frame.len()).sum::<usize>();
                put_block(&mut batch, &block);
                position = block.last().map_or(position, |last| last.position);
                blocks += 1;
            }
            if blocks == 0 {
                return Ok(());
            }
            self.write_step(batch, position)?;
        }
    }

    /// Writes blocks, all waiting state and the marks in one step, then tells the readers.
    fn write_step(&mut self, mut batch: Batch, position: u64) -> Result<(), LogError> {
        // Readers go on meanwhile.
        if !wait_for_room(self.shared, STORE_RESERVE, || ()) {
            // The journal has everything that is not written here.
            return Ok(());
        }
        let values = Values::new(&self.store, Space::Log, STATE);
        for (key, value) in &std::mem::take(&mut self.state) {
            values.change(&mut batch, key, value.as_deref())?;
        }
        self.marks.position = position;
        while let Some((commit, last)) = self.open_commits.front()
            && *last <= position
        {
            self.marks.commit = *commit;
            self.open_commits.pop_front();
        }
        self.marks.write(&mut batch);
        self.store.apply(Space::Log, batch)?;
        self.shared.store_changed();
        {
            let mut live = self.shared.live.write();
            live.advance(position);
            live.state_stored(self.commit);
        }
        self.write_spans()
    }

    /// Writes the index of spans whose events are all in blocks.
    fn write_spans(&mut self) -> Result<(), LogError> {
        loop {
            let span = self.shared.live.read().finished.front().cloned();
            let Some(span) = span.filter(|span| span.number * SPAN + SPAN <= self.marks.position) else {
                return Ok(());
            };
            let filter = span.write(&self.store)?;
            self.write_heads(span.streams().cloned())?;
            self.marks.spans = span.number + 1;
            let mut batch = Batch::default();
            self.marks.write(&mut batch);
            self.store.apply(Space::Log, batch)?;
            let last_time = opening::last_time(&self.store, span.number)?;
            let mut live = self.shared.live.write();
            live.finished.pop_front();
            live.remember_ids(span.number, filter, last_time, self.shared.id_window);
        }
    }

    fn write_heads(&self, streams: impl Iterator<Item = tidewire_model::event::StreamName>) -> Result<(), LogError> {
        let streams: Vec<_> = streams.collect();
        for streams in streams.chunks(128) {
            let mut batch = Batch::default();
            let live = self.shared.live.read();
            for stream in streams {
                let head = live.heads.get(stream).copied().unwrap_or_default();
                put_head(&mut batch, stream.as_str(), head);
            }
            drop(live);
            self.store.apply(Space::Log, batch)?;
        }
        Ok(())
    }

    /// The first position whose index is not in the store.
    fn first_open(&self) -> u64 {
        span_first(self.marks.spans)
    }
}

pub(crate) fn put_head(batch: &mut Batch, stream: &str, head: Head) {
    let mut value = Vec::with_capacity(24 + stream.len());
    value.extend_from_slice(&head.version.to_le_bytes());
    value.extend_from_slice(&head.position.to_le_bytes());
    value.extend_from_slice(&head.recorded_time.to_le_bytes());
    value.extend_from_slice(stream.as_bytes());
    batch.put(&[b"h", short_key(stream).as_slice()].concat(), &value);
}

fn read_head(value: &[u8]) -> Option<(&str, Head)> {
    let number = |at: usize| value.get(at..)?.first_chunk().copied().map(u64::from_le_bytes);
    let head = Head { version: number(0)?, position: number(8)?, recorded_time: number(16)?.cast_signed() };
    Some((std::str::from_utf8(value.get(24..)?).ok()?, head))
}

#[cfg(test)]
#[path = "indexer/tests.rs"]
mod tests;
