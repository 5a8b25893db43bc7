//! Events packed into store values: at most 32 of them and at most 7 KiB, compressed.
//!
//! A block holds frames exactly as the journal does. An event too large for a block is a chain of pieces.

use std::sync::Arc;

use bytes::Bytes;
use tidewire_model::event::Event;

use crate::LogError;
use crate::envelope::{self, split_frame};
use crate::store::{Batch, Space, Store};

/// The most events in a block.
pub(crate) const EVENTS_MAX: usize = 32;
/// The most bytes of frames in a block. LZ4 adds a little to what it cannot compress.
pub(crate) const BYTES_MAX: usize = 6_600;
const PIECE: usize = 6 * 1024;
const HEAD: usize = 16;

/// The key of the block that begins at a position.
pub(crate) fn block_key(first: u64) -> [u8; 9] {
    key(b'b', first)
}

fn key(kind: u8, first: u64) -> [u8; 9] {
    let mut key = [kind; 9];
    if let Some(place) = key.last_chunk_mut() {
        *place = first.to_be_bytes();
    }
    key
}

fn piece_key(first: u64, index: u32) -> Vec<u8> {
    [&key(b'p', first)[..], &index.to_be_bytes()].concat()
}

/// An event on its way into a block.
#[derive(Debug, Clone)]
pub(crate) struct Waiting {
    pub(crate) position: u64,
    pub(crate) frame: Bytes,
}

/// How many of the waiting events make up the next full block; `None` when it is not full yet.
pub(crate) fn full_block<'a>(waiting: impl Iterator<Item = &'a Waiting>) -> Option<usize> {
    let (mut count, mut bytes) = (0, 0);
    for event in waiting {
        bytes += event.frame.len();
        if bytes > BYTES_MAX && count > 0 {
            return Some(count);
        }
        count += 1;
        if count == EVENTS_MAX || bytes > BYTES_MAX {
            return Some(count);
        }
    }
    None
}

/// Adds a block of events to a batch.
pub(crate) fn put_block(batch: &mut Batch, events: &[Waiting]) {
    let Some(first) = events.first() else { return };
    let raw = match events {
        [one] => one.frame.clone(),
        _ => {
            let mut raw = Vec::with_capacity(BYTES_MAX);
            events.iter().for_each(|event| raw.extend_from_slice(&event.frame));
            raw.into()
        }
    };
    let body = lz4_flex::block::compress(&raw);
    let pieces =
        if body.len() <= PIECE + 700 { 0 } else { u32::try_from(body.len().div_ceil(PIECE)).unwrap_or(u32::MAX) };
    let number = |len: usize| u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes();
    let mut value = Vec::with_capacity(HEAD + if pieces == 0 { body.len() } else { 0 });
    value.extend_from_slice(&number(raw.len()));
    value.extend_from_slice(&crc32c::crc32c(&body).to_le_bytes());
    value.extend_from_slice(&number(events.len()));
    value.extend_from_slice(&pieces.to_le_bytes());
    if pieces == 0 {
        value.extend_from_slice(&body);
    } else {
        for (index, piece) in (0..).zip(body.chunks(PIECE)) {
            batch.put(&piece_key(first.position, index), piece);
        }
    }
    batch.put(&block_key(first.position), &value);
}

/// Removes a block and its pieces in a batch.
pub(crate) fn remove_block(batch: &mut Batch, first: u64, value: &[u8]) {
    let pieces = value.get(12..).and_then(|rest| rest.first_chunk().copied()).map_or(0, u32::from_le_bytes);
    (0..pieces).for_each(|index| batch.remove(&piece_key(first, index)));
    batch.remove(&block_key(first));
}

/// The frames of a block as they are, with the positions of their events.
pub(crate) fn read_frames(store: &Store, first: u64, value: &[u8]) -> Result<Vec<Waiting>, LogError> {
    let events = read_block(store, first, value)?;
    let mut raw = unpack(store, first, value)?;
    let frames = std::iter::from_fn(|| split_frame(&mut raw));
    Ok(events.iter().zip(frames).map(|(event, frame)| Waiting { position: event.position.get(), frame }).collect())
}

fn damage(first: u64, what: &str) -> LogError {
    LogError::Store(format!("the block at position {first} is damaged: {what}"))
}

/// Reads the events of a block.
pub(crate) fn read_block(store: &Store, first: u64, value: &[u8]) -> Result<Vec<Arc<Event>>, LogError> {
    let count = value.get(8..).and_then(|rest| rest.first_chunk().copied()).map_or(0, u32::from_le_bytes);
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    // The checksum of the block has been looked at.
    let raw = unpack(store, first, value)?;
    let mut events = Vec::with_capacity(count.min(EVENTS_MAX));
    envelope::read_frames(&raw, &mut events).map_err(|reason| damage(first, &reason))?;
    if events.len() == count { Ok(events) } else { Err(damage(first, "events are missing")) }
}

/// The frames of a block in one piece.
fn unpack(store: &Store, first: u64, value: &[u8]) -> Result<Bytes, LogError> {
    let damaged = |what: &str| damage(first, what);
    let number = |at: usize| value.get(at..)?.first_chunk().copied().map(u32::from_le_bytes);
    let head = (number(0), number(4), number(12));
    let (Some(raw_len), Some(crc), Some(pieces)) = head else { return Err(damaged("no head")) };
    let size = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    let mut chain = Vec::new();
    for index in 0..pieces {
        let piece = store.get(Space::Log, &piece_key(first, index))?.ok_or_else(|| damaged("a piece is missing"))?;
        chain.extend_from_slice(&piece);
    }
    let body = if pieces == 0 { value.get(HEAD..).unwrap_or_default() } else { chain.as_slice() };
    if crc32c::crc32c(body) != crc {
        return Err(damaged("the checksum does not match"));
    }
    let raw = lz4_flex::block::decompress(body, size(raw_len)).map_err(|error| damaged(&error.to_string()))?;
    Ok(Bytes::from(raw))
}
