//! One commit as one journal record.
//!
//! ```text
//! magic u32 | payload length u32 | crc32c u32 | format u32 | commit u64 | first position u64 | events u32 | states u32
//! events × frame | states × (key length u16 | has value u8 | value length u32 | key | value)
//! ```
//! Numbers are little-endian. The checksum covers everything after itself.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use compact_str::CompactString;
use tidewire_model::append::StateChange;
use tidewire_model::event::Event;

use super::merkle::{Hash, root_of};
use crate::envelope::{frame_size, read_frame, split_frame, write_frame};

/// Bytes before the payload.
pub(crate) const RECORD_HEAD: usize = 40;
/// `TWRC`.
pub(crate) const MAGIC: [u8; 4] = *b"TWRC";
const FORMAT: u32 = 3;
/// No record is longer: a group commit ends long before.
pub(crate) const MAX_PAYLOAD: usize = 256 * 1024 * 1024;

/// A commit as it goes to disk, and what is needed to index it.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    /// The whole record.
    pub(crate) bytes: Bytes,
    /// Its number, from 1 without gaps.
    pub(crate) commit: u64,
    /// The position of its first event, or of the next when it has none.
    pub(crate) first_position: u64,
    /// The last position after it.
    pub(crate) last_position: u64,
    /// The latest recorded time in it, or `i64::MIN`.
    pub(crate) recorded_time: i64,
    /// Its events.
    pub(crate) events: Vec<Arc<Event>>,
    /// Where the frame of each event lies in `bytes`.
    pub(crate) frames: Vec<Range<usize>>,
    /// Its state changes.
    pub(crate) state: Vec<StateChange>,
}

impl Record {
    /// Encodes a commit.
    pub(crate) fn encode(commit: u64, head: u64, events: Vec<Arc<Event>>, state: Vec<StateChange>) -> Self {
        let size = events.iter().map(|event| frame_size(event)).sum::<usize>();
        let mut buffer = Vec::with_capacity(RECORD_HEAD + size);
        buffer.extend_from_slice(&MAGIC);
        buffer.extend_from_slice(&[0; 8]);
        buffer.extend_from_slice(&FORMAT.to_le_bytes());
        buffer.extend_from_slice(&commit.to_le_bytes());
        buffer.extend_from_slice(&(head + 1).to_le_bytes());
        buffer.extend_from_slice(&u32::try_from(events.len()).unwrap_or(u32::MAX).to_le_bytes());
        buffer.extend_from_slice(&u32::try_from(state.len()).unwrap_or(u32::MAX).to_le_bytes());
        let mut frames = Vec::with_capacity(events.len());
        for event in &events {
            let start = buffer.len();
            buffer = write_frame(event, buffer);
            frames.push(start..buffer.len());
        }
        for change in &state {
            write_state(change, &mut buffer);
        }
        let len = u32::try_from(buffer.len() - RECORD_HEAD).unwrap_or(u32::MAX);
        let crc = crc32c::crc32c(buffer.get(12..).unwrap_or_default());
        // The length is part of what the checksum protects: it is mixed into it.
        let crc = crc32c::crc32c_append(crc, &len.to_le_bytes());
        if let Some(place) = buffer.get_mut(4..12) {
            place.copy_from_slice(&(u64::from(len) | u64::from(crc) << 32).to_le_bytes());
        }
        let last_position = head + events.len() as u64;
        let recorded_time = events.last().map_or(i64::MIN, |event| event.recorded_time);
        Self {
            bytes: Bytes::from(buffer),
            commit,
            first_position: head + 1,
            last_position,
            recorded_time,
            events,
            frames,
            state,
        }
    }

    /// Decodes a commit.
    ///
    /// # Errors
    /// A text that says what is wrong with it.
    pub(crate) fn decode(bytes: Bytes) -> Result<Self, String> {
        let head = RecordHead::parse(&bytes).ok_or("a record has no valid head")?;
        head.check(&bytes)?;
        Self::decode_checked(head, bytes)
    }

    /// Decodes a commit whose checksum is known to match.
    ///
    /// # Errors
    /// A text that says what is wrong with it.
    pub(crate) fn decode_checked(head: RecordHead, bytes: Bytes) -> Result<Self, String> {
        let mut rest = bytes.slice(RECORD_HEAD..);
        let mut events = Vec::with_capacity(head.events.min(65_536));
        let mut frames = Vec::with_capacity(head.events.min(65_536));
        for _ in 0..head.events {
            let start = bytes.len() - rest.len();
            let frame = split_frame(&mut rest).ok_or("a record ends within an event")?;
            frames.push(start..start + frame.len());
            events.push(read_frame(&frame)?);
        }
        let mut state = Vec::with_capacity(head.states.min(65_536));
        for _ in 0..head.states {
            let change = split_state(&mut rest).ok_or("a record ends within a state change")?;
            state.push(read_state(&change).ok_or("a state change cannot be decoded")?);
        }
        let last_position = (head.first_position + events.len() as u64).saturating_sub(1);
        let recorded_time = events.last().map_or(i64::MIN, |event: &Arc<Event>| event.recorded_time);
        let first_position = head.first_position;
        Ok(Self { bytes, commit: head.commit, first_position, last_position, recorded_time, events, frames, state })
    }

    /// The frame of the event at an index.
    pub(crate) fn frame(&self, index: usize) -> Option<Bytes> {
        self.frames.get(index).map(|range| self.bytes.slice(range.clone()))
    }
}

/// What a record adds to its segment's hash tree: the root over its head fields, the frame of each event and each
/// state change. Length and checksum are no part of it, so that a record keeps its hash when something is taken out.
pub(crate) fn leaf(record: &Bytes) -> Hash {
    let counts = RecordHead::parse(record).map_or((0, 0), |head| (head.events, head.states));
    let mut rest = record.slice(RECORD_HEAD.min(record.len())..);
    let mut items = Vec::with_capacity(1 + counts.0 + counts.1);
    items.push(record.slice(12.min(record.len())..RECORD_HEAD.min(record.len())));
    items.extend((0..counts.0).map_while(|_| split_frame(&mut rest)));
    items.extend((0..counts.1).map_while(|_| split_state(&mut rest)));
    root_of(items.iter().map(|item| &**item))
}

/// The fixed part of a record.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RecordHead {
    pub(crate) payload: usize,
    crc: u32,
    pub(crate) commit: u64,
    pub(crate) first_position: u64,
    pub(crate) events: usize,
    states: usize,
}

impl RecordHead {
    /// Reads the head, without judging the payload. `None` when these bytes cannot begin a record.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let u32_at = |at: usize| bytes.get(at..)?.first_chunk().copied().map(u32::from_le_bytes);
        let u64_at = |at: usize| bytes.get(at..)?.first_chunk().copied().map(u64::from_le_bytes);
        let size = |number: u32| usize::try_from(number).ok();
        if bytes.get(..4)? != MAGIC || u32_at(12)? != FORMAT {
            return None;
        }
        let head = Self {
            payload: size(u32_at(4)?)?,
            crc: u32_at(8)?,
            commit: u64_at(16)?,
            first_position: u64_at(24)?,
            events: size(u32_at(32)?)?,
            states: size(u32_at(36)?)?,
        };
        (head.payload <= MAX_PAYLOAD).then_some(head)
    }

    /// The commit and the position that come after it.
    pub(crate) const fn after(&self) -> (u64, u64) {
        (self.commit + 1, self.first_position + self.events as u64)
    }

    /// Checks that `bytes` are exactly the record with this head.
    pub(crate) fn check(&self, bytes: &[u8]) -> Result<(), String> {
        let body = bytes.get(12..RECORD_HEAD + self.payload).ok_or("a record is cut short")?;
        let len = u32::try_from(self.payload).unwrap_or(u32::MAX);
        let crc = crc32c::crc32c_append(crc32c::crc32c(body), &len.to_le_bytes());
        if crc == self.crc { Ok(()) } else { Err("the checksum of a record does not match".to_owned()) }
    }
}

fn write_state(change: &StateChange, buffer: &mut Vec<u8>) {
    let value = change.value.as_deref().unwrap_or_default();
    buffer.extend_from_slice(&u16::try_from(change.key.len()).unwrap_or(u16::MAX).to_le_bytes());
    buffer.push(u8::from(change.value.is_some()));
    buffer.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_le_bytes());
    buffer.extend_from_slice(change.key.as_bytes());
    buffer.extend_from_slice(value);
}

/// Splits the first state change off; `None` when there is no whole one.
pub(crate) fn split_state(rest: &mut Bytes) -> Option<Bytes> {
    let key_len = usize::from(u16::from_le_bytes(*rest.first_chunk()?));
    let value_len = usize::try_from(u32::from_le_bytes(*rest.get(3..)?.first_chunk()?)).ok()?;
    let whole = key_len.checked_add(value_len)?.checked_add(7)?;
    (rest.len() >= whole).then(|| rest.split_to(whole))
}

/// Reads a state change.
pub(crate) fn read_state(change: &[u8]) -> Option<StateChange> {
    let key_len = usize::from(u16::from_le_bytes(*change.first_chunk()?));
    let (key, value) = change.get(7..)?.split_at_checked(key_len)?;
    let key = CompactString::from_utf8(key).ok()?;
    // Copied, so that a small value does not keep a whole record in memory.
    let value = (*change.get(2)? != 0).then(|| Bytes::copy_from_slice(value));
    Some(StateChange { key, value })
}
