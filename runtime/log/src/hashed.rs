//! Offsets of a finished span's events by the hash of an id: its own, that of its chain, that of its cause.
//!
//! Entries lie sorted in chunks. Each chunk is stored under the hash that it begins with, so that one look finds
//! where a hash begins. A hit may be another id's: whoever looks compares the id.

use std::ops::Bound;

use crate::LogError;
use crate::store::{Space, Store};

/// Entries in a chunk.
const CHUNK: usize = 600;
const ENTRY: usize = 10;

/// Which id of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IdKind {
    /// Its own.
    Own,
    /// The one that its chain has in common.
    Correlation,
    /// The one of what it came from.
    Causation,
}

impl IdKind {
    const fn byte(self) -> u8 {
        match self {
            Self::Own => b'd',
            Self::Correlation => b'r',
            Self::Causation => b'k',
        }
    }
}

fn key(kind: IdKind, span: u64, hash: u64, chunk: u16) -> [u8; 15] {
    let mut key = [kind.byte(); 15];
    let span = u32::try_from(span).unwrap_or(u32::MAX);
    let parts = span.to_be_bytes().into_iter().chain(hash.to_be_bytes()).chain(chunk.to_be_bytes());
    key.iter_mut().skip(1).zip(parts).for_each(|(place, byte)| *place = byte);
    key
}

/// What the keys of a span's entries begin with.
pub(crate) fn prefix(kind: IdKind, span: u64) -> Vec<u8> {
    key(kind, span, 0, 0).get(..5).unwrap_or_default().to_vec()
}

/// The entries of a chunk that stay, and how many do not.
pub(crate) fn filtered(chunk: &[u8], stays: &impl Fn(u16) -> bool) -> (Vec<u8>, u64) {
    keep_entries(chunk, ENTRY, |entry| entry.last_chunk().copied().map(u16::from_le_bytes).is_some_and(stays))
}

/// Entries of some bytes each that stay, and how many do not.
pub(crate) fn keep_entries(chunk: &[u8], len: usize, mut stays: impl FnMut(&[u8]) -> bool) -> (Vec<u8>, u64) {
    let (mut kept, mut gone) = (Vec::with_capacity(chunk.len()), 0);
    for entry in chunk.chunks_exact(len) {
        if stays(entry) { kept.extend_from_slice(entry) } else { gone += 1 }
    }
    (kept, gone)
}

/// Hands the chunks of a span's entries to `put`.
pub(crate) fn write(
    kind: IdKind,
    span: u64,
    mut entries: Vec<(u64, u16)>,
    mut put: impl FnMut(&[u8], &[u8]) -> Result<(), LogError>,
) -> Result<(), LogError> {
    entries.sort_unstable();
    for (number, chunk) in (0_u16..).zip(entries.chunks(CHUNK)) {
        let Some((first, _)) = chunk.first() else { continue };
        let mut value = Vec::with_capacity(chunk.len() * ENTRY);
        for (hash, offset) in chunk {
            value.extend_from_slice(&hash.to_be_bytes());
            value.extend_from_slice(&offset.to_le_bytes());
        }
        put(&key(kind, span, *first, number), &value)?;
    }
    Ok(())
}

/// The offsets under a hash in a finished span, ascending.
pub(crate) fn stored(store: &Store, kind: IdKind, span: u64, hash: u64) -> Result<Vec<u16>, LogError> {
    let (low, begin, end) = (key(kind, span, 0, 0), key(kind, span, hash, 0), key(kind, span, hash, u16::MAX));
    let before = store.range(Space::Log, Bound::Included(&low), Bound::Excluded(&begin)).next_back();
    let within = store.range(Space::Log, Bound::Included(&begin), Bound::Included(&end));
    let mut offsets = Vec::new();
    for item in before.into_iter().chain(within) {
        let (_, chunk) = item?;
        let hits = chunk.chunks_exact(ENTRY).filter_map(|entry| {
            let (entry_hash, offset) = entry.split_first_chunk::<8>()?;
            (u64::from_be_bytes(*entry_hash) == hash).then(|| offset.first_chunk().copied().map(u16::from_le_bytes))?
        });
        offsets.extend(hits);
    }
    Ok(offsets)
}

/// Mixes an id key to a hash that is the same on every machine (the finisher of splitmix64).
pub(crate) fn id_hash(key: u128) -> u64 {
    let low = u64::try_from(key & u128::from(u64::MAX)).unwrap_or_default();
    let high = u64::try_from(key >> 64).unwrap_or_default();
    let mut hash = low ^ high.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash = (hash ^ hash >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ hash >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ hash >> 31
}
