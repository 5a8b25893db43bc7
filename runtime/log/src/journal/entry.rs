//! What stands in a segment: whole records; in archives also records that lack something, and gaps where whole
//! records were.
//!
//! Whatever is missing is covered by hashes, so the segment's root can be computed from what is left.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::merkle::{Hash, Run, Subtree, Tree, leaf_hash};
use super::record::{self, RECORD_HEAD, Record};
use crate::envelope::read_frame;

/// One thing in a segment.
#[derive(Debug, Clone)]
pub(crate) enum Entry {
    /// A commit.
    Whole(Box<Record>),
    /// A commit that lacks some of its events or state changes.
    Thin(Thin),
    /// Commits that are gone.
    Gap(Gap),
}

/// A part of a thin record: an item as it was, or hashes that cover neighbouring ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// The frame of an event, or a state change.
    Kept(Bytes),
    /// Items that were dropped.
    Dropped(Run),
}

/// A commit that lacks some of its items.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Thin {
    /// The head fields of the record as they were, from its format on.
    pub(crate) head: Bytes,
    /// Its items in order, from the first event on.
    pub(crate) parts: Vec<Part>,
}

/// Neighbouring commits that are gone.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Gap {
    /// The first of them.
    pub(crate) first_commit: u64,
    /// The first position in them.
    pub(crate) first_position: u64,
    /// How many positions they had.
    pub(crate) positions: u64,
    /// What covers them.
    pub(crate) run: Run,
}

impl Gap {
    /// How many commits are gone.
    pub(crate) fn commits(&self) -> u64 {
        self.run.leaves()
    }
}

const WHOLE: u8 = 1;
const THIN: u8 = 2;
const GAP: u8 = 3;
/// Bytes before the body of an entry: kind, length and CRC32C.
const ENTRY_HEAD: usize = 9;

#[derive(Serialize, Deserialize)]
enum StoredPart<'a> {
    Kept(&'a [u8]),
    Dropped(Run),
}

#[derive(Serialize, Deserialize)]
struct StoredThin<'a> {
    head: &'a [u8],
    #[serde(borrow)]
    parts: Vec<StoredPart<'a>>,
}

impl Entry {
    /// Its last commit.
    pub(crate) fn last_commit(&self) -> u64 {
        match self {
            Self::Whole(record) => record.commit,
            Self::Thin(thin) => thin.fields().commit,
            Self::Gap(gap) => gap.first_commit + gap.commits().saturating_sub(1),
        }
    }

    /// Its last position; that before it when it has none.
    pub(crate) fn last_position(&self) -> u64 {
        match self {
            Self::Whole(record) => record.last_position,
            Self::Thin(thin) => thin.fields().first_position + thin.fields().events - 1,
            Self::Gap(gap) => gap.first_position + gap.positions - 1,
        }
    }

    /// Adds it to the tree of its segment. False when it cannot stand here.
    pub(crate) fn hash_into(&self, tree: &mut Tree) -> bool {
        match self {
            Self::Whole(record) => tree.push(record::leaf(&record.bytes)),
            Self::Thin(thin) => match thin.leaf() {
                Some(leaf) => tree.push(leaf),
                None => return false,
            },
            Self::Gap(gap) => return gap.run.parts.iter().all(|part| tree.push_subtree(*part)),
        }
        true
    }

    /// Appends it to a buffer.
    pub(crate) fn write(&self, buffer: &mut Vec<u8>) {
        match self {
            Self::Whole(record) => write(WHOLE, &record.bytes, buffer),
            Self::Thin(thin) => {
                let parts = thin.parts.iter().map(|part| match part {
                    Part::Kept(bytes) => StoredPart::Kept(bytes),
                    Part::Dropped(run) => StoredPart::Dropped(run.clone()),
                });
                let stored = StoredThin { head: &thin.head, parts: parts.collect() };
                write(THIN, &encoded(&stored), buffer);
            }
            Self::Gap(gap) => write(GAP, &encoded(gap), buffer),
        }
    }

    /// Splits the next entry off.
    ///
    /// # Errors
    /// A text that says what is wrong with it.
    pub(crate) fn read(rest: &mut Bytes) -> Result<Self, String> {
        let cut = || "an archive entry is cut short".to_owned();
        let head: [u8; ENTRY_HEAD] = rest.first_chunk().copied().ok_or_else(cut)?;
        let [kind, a, b, c, d, crc @ ..] = head;
        let len = usize::try_from(u32::from_le_bytes([a, b, c, d])).map_err(|error| error.to_string())?;
        if rest.len() - ENTRY_HEAD < len {
            return Err(cut());
        }
        let mut body = rest.split_to(ENTRY_HEAD + len);
        let body = body.split_off(ENTRY_HEAD);
        if kind == WHOLE {
            // A record has a checksum of its own.
            return Record::decode(body).map(|record| Self::Whole(Box::new(record)));
        }
        if crc32c::crc32c(&body) != u32::from_le_bytes(crc) {
            return Err("the checksum of an archive entry does not match".to_owned());
        }
        match kind {
            THIN => Thin::decode(&body).map(Self::Thin),
            GAP => postcard::from_bytes(&body).map(Self::Gap).map_err(|error| format!("a gap is damaged: {error}")),
            other => Err(format!("an archive entry is of the unknown kind {other}")),
        }
    }

    /// The entry as a record, with what is left of it.
    ///
    /// # Errors
    /// A text that says what is wrong with it.
    pub(crate) fn into_record(self) -> Result<Record, String> {
        match self {
            Self::Whole(record) => Ok(*record),
            Self::Thin(thin) => thin.into_record(),
            Self::Gap(gap) => Ok(Record {
                bytes: Bytes::new(),
                commit: gap.first_commit + gap.commits().saturating_sub(1),
                first_position: gap.first_position,
                last_position: (gap.first_position + gap.positions).saturating_sub(1),
                recorded_time: i64::MIN,
                events: Vec::new(),
                frames: Vec::new(),
                state: Vec::new(),
            }),
        }
    }
}

/// An entry of an archive that may be damaged.
pub(crate) enum RawEntry {
    /// The bytes of a record.
    Whole(Bytes),
    /// Something else, and whether its checksum matches.
    Other { whole: bool },
}

impl RawEntry {
    /// Splits the next entry off, as long as lengths make sense.
    pub(crate) fn split(rest: &mut Bytes) -> Option<Self> {
        let [kind, a, b, c, d, crc @ ..]: [u8; ENTRY_HEAD] = *rest.first_chunk()?;
        let len = usize::try_from(u32::from_le_bytes([a, b, c, d])).ok()?;
        if !(WHOLE..=GAP).contains(&kind) || rest.len() - ENTRY_HEAD < len {
            return None;
        }
        let body = rest.split_to(ENTRY_HEAD + len).split_off(ENTRY_HEAD);
        Some(match kind {
            WHOLE => Self::Whole(body),
            _ => Self::Other { whole: crc32c::crc32c(&body) == u32::from_le_bytes(crc) },
        })
    }
}

fn encoded(value: &impl Serialize) -> Vec<u8> {
    postcard::to_allocvec(value).expect("a growing buffer takes every value")
}

fn write(kind: u8, body: &[u8], buffer: &mut Vec<u8>) {
    buffer.push(kind);
    buffer.extend_from_slice(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes());
    let crc = if kind == WHOLE { 0 } else { crc32c::crc32c(body) };
    buffer.extend_from_slice(&crc.to_le_bytes());
    buffer.extend_from_slice(body);
}

/// The fixed fields of a record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields {
    pub(crate) commit: u64,
    pub(crate) first_position: u64,
    pub(crate) events: u64,
}

impl Thin {
    /// What its head says.
    pub(crate) fn fields(&self) -> Fields {
        let u32_at =
            |at: usize| self.head.get(at..).and_then(|rest| rest.first_chunk().copied()).map(u32::from_le_bytes);
        let u64_at =
            |at: usize| self.head.get(at..).and_then(|rest| rest.first_chunk().copied()).map(u64::from_le_bytes);
        Fields {
            commit: u64_at(4).unwrap_or_default(),
            first_position: u64_at(12).unwrap_or_default(),
            events: u32_at(20).unwrap_or_default().into(),
        }
    }

    /// What it adds to the tree of its segment; `None` when its hashes do not fit.
    pub(crate) fn leaf(&self) -> Option<Hash> {
        let mut tree = Tree::default();
        tree.push(leaf_hash(&self.head));
        for part in &self.parts {
            match part {
                Part::Kept(item) => tree.push(leaf_hash(item)),
                Part::Dropped(run) => run.parts.iter().all(|part| tree.push_subtree(*part)).then_some(())?,
            }
        }
        Some(tree.root())
    }

    fn decode(body: &Bytes) -> Result<Self, String> {
        let damaged = |error: postcard::Error| format!("a thinned commit is damaged: {error}");
        let stored: StoredThin<'_> = postcard::from_bytes(body).map_err(damaged)?;
        let part = |part| match part {
            StoredPart::Kept(item) => Part::Kept(body.slice_ref(item)),
            StoredPart::Dropped(run) => Part::Dropped(run),
        };
        if stored.head.len() != RECORD_HEAD - 12 {
            return Err("a thinned commit has no valid head".to_owned());
        }
        let head = body.slice_ref(stored.head);
        Ok(Self { head, parts: stored.parts.into_iter().map(part).collect() })
    }

    /// Its items with their number, from the first event on; what is dropped has none.
    pub(crate) fn kept(&self) -> impl Iterator<Item = (u64, &Bytes)> {
        let mut next = 0;
        self.parts.iter().filter_map(move |part| match part {
            Part::Kept(item) => {
                next += 1;
                Some((next - 1, item))
            }
            Part::Dropped(run) => {
                next += run.leaves();
                None
            }
        })
    }

    fn into_record(self) -> Result<Record, String> {
        let fields = self.fields();
        let (mut bytes, mut frames, mut events, mut state) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (number, item) in self.kept() {
            if number < fields.events {
                let event = read_frame(item)?;
                if event.position.get() != fields.first_position + number {
                    return Err(format!("event {} stands at {}", event.position, fields.first_position + number));
                }
                frames.push(bytes.len()..bytes.len() + item.len());
                bytes.extend_from_slice(item);
                events.push(event);
            } else {
                state.push(record::read_state(item).ok_or("a state change cannot be decoded")?);
            }
        }
        let recorded_time = events.last().map_or(i64::MIN, |event| event.recorded_time);
        Ok(Record {
            bytes: bytes.into(),
            commit: fields.commit,
            first_position: fields.first_position,
            last_position: (fields.first_position + fields.events).saturating_sub(1),
            recorded_time,
            events,
            frames,
            state,
        })
    }
}

/// A single item that was dropped.
pub(crate) fn dropped_item(item: &[u8]) -> Subtree {
    Subtree { height: 0, hash: leaf_hash(item) }
}
