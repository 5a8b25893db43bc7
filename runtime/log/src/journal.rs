//! The journal: plain segment files that hold every commit, and nothing else that matters.
//!
//! `append` writes one record and returns after `fdatasync`. A failed `fdatasync` is final: the journal takes
//! nothing more until the next start, which verifies what is there. It knows neither sled nor readers.

pub(crate) mod archive;
pub(crate) mod archiving;
mod chain;
pub(crate) mod damage;
pub(crate) mod entry;
pub(crate) mod merkle;
pub(crate) mod reading;
pub(crate) mod record;
pub(crate) mod recovery;
pub(crate) mod segment;
pub(crate) mod summary;

use std::io;
use std::path::{Path, PathBuf};

use crate::LogError;
use chain::Chain;
use merkle::{Hash, Tree};
use record::Record;
use segment::{Segment, SegmentHead};

/// A segment is closed when the next record would take it beyond this.
pub(crate) const SEGMENT_BYTES: u64 = 64 * 1024 * 1024;

/// The open end of the journal.
pub(crate) struct Journal {
    folder: PathBuf,
    segment: Segment,
    chain: Chain,
    /// The root of the segment, once that is closed: making the next one may have to be tried again.
    closed_root: Option<Hash>,
    segment_bytes: u64,
    /// The number of the last commit.
    pub(crate) commit: u64,
    /// The last position.
    pub(crate) position: u64,
    /// The last recorded time.
    pub(crate) recorded_time: i64,
}

/// Why a record was not stored.
#[derive(Debug)]
pub(crate) enum JournalError {
    /// No room; nothing was written, and it may work later.
    Full,
    /// Final: whether the record is on disk cannot be known.
    Broken(String),
}

impl Journal {
    /// Opens the journal in a folder, or begins one. Answers what was noticed and mended.
    ///
    /// # Errors
    /// When files cannot be read, or are damaged elsewhere than at the very end.
    pub(crate) fn open(folder: &Path, segment_bytes: u64) -> Result<(Self, Vec<String>), LogError> {
        let heads = segment::list(folder)?;
        let Some(last) = heads.last() else {
            let head = SegmentHead::first(rand_id(), 0);
            let journal = Self {
                folder: folder.to_owned(),
                segment: Segment::create(folder, head)?,
                chain: start_chain(folder, Tree::default())?,
                closed_root: None,
                segment_bytes,
                commit: 0,
                position: 0,
                recorded_time: 0,
            };
            return Ok((journal, Vec::new()));
        };
        if archiving::is_archived(folder, last) {
            return Self::after_archive(folder, last, segment_bytes).map(|journal| (journal, Vec::new()));
        }
        let (end, notices) = recovery::recover_end(folder, last)?;
        let segment = Segment::reopen(folder, last.clone(), end.offset)?;
        let journal = Self {
            folder: folder.to_owned(),
            segment,
            chain: start_chain(folder, end.tree)?,
            closed_root: None,
            segment_bytes,
            commit: end.commit,
            position: end.position,
            recorded_time: end.recorded_time,
        };
        Ok((journal, notices))
    }

    /// Begins the segment after the last one, which is an archive already.
    fn after_archive(folder: &Path, last: &SegmentHead, segment_bytes: u64) -> Result<Self, LogError> {
        let archive = archive::read_archive_head(&folder.join(archive::archive_name(last.number)))?;
        let head = SegmentHead {
            log_id: last.log_id,
            number: last.number + 1,
            first_commit: archive.last_commit + 1,
            first_position: archive.last_position + 1,
            recorded_time: archive.recorded_time,
            previous_root: archive.root,
        };
        Ok(Self {
            folder: folder.to_owned(),
            segment: Segment::create(folder, head)?,
            chain: start_chain(folder, Tree::default())?,
            segment_bytes,
            closed_root: None,
            commit: archive.last_commit,
            position: archive.last_position,
            recorded_time: archive.recorded_time,
        })
    }

    /// Which log this is.
    pub(crate) const fn log_id(&self) -> u128 {
        self.segment.head.log_id
    }

    /// Makes a record durable.
    pub(crate) fn append(&mut self, record: &Record) -> Result<(), JournalError> {
        let len = record.bytes.len() as u64;
        let full = self.segment.end + len > self.segment_bytes && self.segment.end > segment::HEAD_BYTES;
        if full || self.closed_root.is_some() {
            self.roll()?;
        }
        self.segment.append(&record.bytes)?;
        self.chain.push(record.bytes.clone()).ok_or_else(chain_is_gone)?;
        self.commit = record.commit;
        self.position = record.last_position;
        self.recorded_time = self.recorded_time.max(record.recorded_time);
        Ok(())
    }

    /// Closes the segment under way, unless it is empty.
    pub(crate) fn close_segment(&mut self) -> Result<(), JournalError> {
        if self.segment.end > segment::HEAD_BYTES { self.roll() } else { Ok(()) }
    }

    fn roll(&mut self) -> Result<(), JournalError> {
        let root = match self.closed_root {
            Some(root) => root,
            None => {
                self.segment.seal()?;
                self.chain.finish().ok_or_else(chain_is_gone)?
            }
        };
        self.closed_root = Some(root);
        let head = SegmentHead {
            log_id: self.segment.head.log_id,
            number: self.segment.head.number + 1,
            first_commit: self.commit + 1,
            first_position: self.position + 1,
            recorded_time: self.recorded_time,
            previous_root: root,
        };
        self.segment = Segment::create(&self.folder, head).map_err(|error| match error {
            LogError::Io { source, .. } if is_full(&source) => JournalError::Full,
            other => JournalError::Broken(other.full_text()),
        })?;
        self.closed_root = None;
        Ok(())
    }
}

fn start_chain(folder: &Path, tree: Tree) -> Result<Chain, LogError> {
    Chain::start(tree).map_err(LogError::io("start a thread for", folder))
}

fn chain_is_gone() -> JournalError {
    JournalError::Broken(
        "the thread that hashes the journal has stopped; restart, which verifies the journal".to_owned(),
    )
}

pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
}

fn rand_id() -> u128 {
    ulid::Ulid::new().0
}
