//! Where events are, by stream, category, type and id.
//!
//! The log is cut into *spans* of 65,536 positions. The span under way is indexed in memory; a finished one is
//! written to the store once, in chunks, and never changed again. A span's ids are stored sorted by hash, with a
//! filter in memory that tells nearly always when an id is not there.

use std::collections::HashMap;
use std::ops::Bound;

use compact_str::CompactString;
use tidewire_model::event::{Event, StreamName};

use crate::LogError;
use crate::store::{Batch, Space, Store};
use crate::values::short_key;

/// How many positions a span covers.
pub(crate) const SPAN: u64 = 1 << 16;
const CHUNK: usize = 6 * 1024;
const ID_ENTRY: usize = 10;

type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// The span that a position lies in.
pub(crate) const fn span_of(position: u64) -> u64 {
    position.saturating_sub(1) / SPAN
}

/// The first position of a span.
pub(crate) const fn span_first(span: u64) -> u64 {
    span * SPAN + 1
}

fn offset_of(position: u64) -> u16 {
    u16::try_from(position.saturating_sub(1) % SPAN).unwrap_or(u16::MAX)
}

/// What an index is by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Stream,
    Category,
    Type,
}

impl Kind {
    const fn byte(self) -> u8 {
        match self {
            Self::Stream => b's',
            Self::Category => b'c',
            Self::Type => b't',
        }
    }
}

/// The index of one span, in memory.
#[derive(Debug, Default, Clone)]
pub(crate) struct Span {
    /// Its number, from 0.
    pub(crate) number: u64,
    streams: Map<StreamName, Vec<u16>>,
    categories: Map<CompactString, Vec<u16>>,
    types: Map<CompactString, Vec<u16>>,
    ids: Map<u128, u16>,
}

fn note<K: Clone + Eq + std::hash::Hash + std::borrow::Borrow<str>>(map: &mut Map<K, Vec<u16>>, name: &K, offset: u16) {
    match map.get_mut(name.borrow()) {
        Some(offsets) => offsets.push(offset),
        None => drop(map.insert(name.clone(), vec![offset])),
    }
}

impl Span {
    /// An empty span.
    pub(crate) fn new(number: u64) -> Self {
        Self { number, ..Self::default() }
    }

    /// Adds an event. Events come in order of position.
    pub(crate) fn add(&mut self, event: &Event) {
        let offset = offset_of(event.position.get());
        note(&mut self.streams, &event.stream, offset);
        note(&mut self.types, &event.event_type, offset);
        match self.categories.get_mut(event.stream.category()) {
            Some(offsets) => offsets.push(offset),
            None => drop(self.categories.insert(CompactString::from(event.stream.category()), vec![offset])),
        }
        self.ids.insert(event.id.key(), offset);
    }

    /// The offsets of events under a name.
    pub(crate) fn offsets(&self, kind: Kind, name: &str) -> &[u16] {
        let offsets = match kind {
            Kind::Stream => self.streams.get(name),
            Kind::Category => self.categories.get(name),
            Kind::Type => self.types.get(name),
        };
        offsets.map_or(&[], Vec::as_slice)
    }

    /// The event types that occur.
    pub(crate) fn type_names(&self) -> impl Iterator<Item = &CompactString> {
        self.types.keys()
    }

    /// The position of the event with an id key.
    pub(crate) fn find(&self, key: u128) -> Option<u64> {
        self.ids.get(&key).map(|offset| span_first(self.number) + u64::from(*offset))
    }

    /// The streams that occur.
    pub(crate) fn streams(&self) -> impl Iterator<Item = &StreamName> {
        self.streams.keys()
    }

    /// Writes the index to the store. May be repeated after a crash: it writes the same keys again.
    pub(crate) fn write(&self, store: &Store) -> Result<IdFilter, LogError> {
        let mut writer = Writer { store, batch: Batch::default() };
        for (name, offsets) in &self.streams {
            writer.put_offsets(Kind::Stream, name.as_str(), self.number, offsets)?;
        }
        for (name, offsets) in &self.categories {
            writer.put_offsets(Kind::Category, name, self.number, offsets)?;
        }
        for (name, offsets) in &self.types {
            writer.put_offsets(Kind::Type, name, self.number, offsets)?;
            writer.put(&[b"y", short_key(name).as_slice()].concat(), name.as_bytes())?;
        }
        let mut ids: Vec<(u64, u16)> = self.ids.iter().map(|(key, offset)| (id_hash(*key), *offset)).collect();
        ids.sort_unstable();
        let mut filter = IdFilter::new(ids.len());
        ids.iter().for_each(|(hash, _)| filter.insert(*hash));
        // Equal hashes stay within a chunk, so that one look finds them all.
        let mut rest = ids.as_slice();
        while let Some((hash, _)) = rest.first() {
            let mut len = (CHUNK / ID_ENTRY).min(rest.len());
            while len < rest.len() && rest.get(len).map(|entry| entry.0) == rest.get(len - 1).map(|entry| entry.0) {
                len += 1;
            }
            let (chunk, after) = rest.split_at_checked(len).unwrap_or((rest, &[]));
            let mut value = Vec::with_capacity(chunk.len() * ID_ENTRY);
            for (hash, offset) in chunk {
                value.extend_from_slice(&hash.to_be_bytes());
                value.extend_from_slice(&offset.to_le_bytes());
            }
            writer.put(&id_key(self.number, *hash), &value)?;
            rest = after;
        }
        for (index, words) in (0_u32..).zip(filter.words.chunks(CHUNK / 8)) {
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            writer.put(&[&filter_key(self.number)[..], &index.to_be_bytes()].concat(), &bytes)?;
        }
        writer.finish()?;
        Ok(filter)
    }
}

/// Writes in batches that are small enough not to keep readers waiting.
struct Writer<'a> {
    store: &'a Store,
    batch: Batch,
}

impl Writer<'_> {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<(), LogError> {
        self.batch.put(key, value);
        if self.batch.len() < 64 { Ok(()) } else { self.finish() }
    }

    fn finish(&mut self) -> Result<(), LogError> {
        self.store.apply(Space::Log, std::mem::take(&mut self.batch))
    }

    fn put_offsets(&mut self, kind: Kind, name: &str, span: u64, offsets: &[u16]) -> Result<(), LogError> {
        for (index, chunk) in (0_u16..).zip(offsets.chunks(CHUNK / 2)) {
            let key = [&offsets_key(kind, name, span)[..], &index.to_be_bytes()].concat();
            self.put(&key, &chunk.iter().flat_map(|offset| offset.to_le_bytes()).collect::<Vec<_>>())?;
        }
        Ok(())
    }
}

fn span_bytes(span: u64) -> [u8; 4] {
    u32::try_from(span).unwrap_or(u32::MAX).to_be_bytes()
}

fn offsets_key(kind: Kind, name: &str, span: u64) -> Vec<u8> {
    [&[b'i', kind.byte()], short_key(name).as_slice(), &[0], &span_bytes(span)].concat()
}

fn id_key(span: u64, hash: u64) -> Vec<u8> {
    [b"d", &span_bytes(span)[..], &hash.to_be_bytes()].concat()
}

fn filter_key(span: u64) -> Vec<u8> {
    [b"f", &span_bytes(span)[..]].concat()
}

/// The offsets of events under a name in a finished span.
pub(crate) fn stored_offsets(store: &Store, kind: Kind, name: &str, span: u64) -> Result<Vec<u16>, LogError> {
    let mut offsets = Vec::new();
    for item in store.prefix(Space::Log, &offsets_key(kind, name, span)) {
        let (_, chunk) = item?;
        offsets.extend(chunk.chunks_exact(2).filter_map(|pair| pair.first_chunk().copied().map(u16::from_le_bytes)));
    }
    Ok(offsets)
}

/// All event types that occur in finished spans.
pub(crate) fn stored_types(store: &Store) -> Result<Vec<CompactString>, LogError> {
    store.prefix(Space::Log, b"y").map(|item| Ok(CompactString::from_utf8_lossy(&item?.1))).collect()
}

/// The positions in a finished span that may hold an id.
pub(crate) fn stored_ids(store: &Store, span: u64, key: u128) -> Result<Vec<u64>, LogError> {
    let hash = id_hash(key);
    let (low, high) = (id_key(span, 0), id_key(span, hash));
    let chunk = store.range(Space::Log, Bound::Included(&low), Bound::Included(&high)).next_back();
    let Some((_, chunk)) = chunk.transpose()? else { return Ok(Vec::new()) };
    let wanted = hash.to_be_bytes();
    let hits = chunk.chunks_exact(ID_ENTRY).filter_map(|entry| {
        let (entry_hash, offset) = entry.split_first_chunk::<8>()?;
        let offset = u16::from_le_bytes(*offset.first_chunk()?);
        (*entry_hash == wanted).then(|| span_first(span) + u64::from(offset))
    });
    Ok(hits.collect())
}

/// The filter of a finished span.
pub(crate) fn stored_filter(store: &Store, span: u64) -> Result<IdFilter, LogError> {
    let mut words = Vec::new();
    for item in store.prefix(Space::Log, &filter_key(span)) {
        let (_, chunk) = item?;
        words.extend(chunk.chunks_exact(8).filter_map(|word| word.first_chunk().copied().map(u64::from_le_bytes)));
    }
    Ok(IdFilter { words })
}

/// Mixes an id key to a hash that is the same on every machine (the finisher of splitmix64).
fn id_hash(key: u128) -> u64 {
    let low = u64::try_from(key & u128::from(u64::MAX)).unwrap_or_default();
    let high = u64::try_from(key >> 64).unwrap_or_default();
    let mut hash = low ^ high.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash = (hash ^ hash >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ hash >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ hash >> 31
}

/// A Bloom filter whose bits for one id lie in one cache line. Empty means "not known": everything may be there.
#[derive(Debug, Default)]
pub(crate) struct IdFilter {
    words: Vec<u64>,
}

impl IdFilter {
    fn new(ids: usize) -> Self {
        Self { words: vec![0; (ids * 12).div_ceil(512).max(1) * 8] }
    }

    /// Eight words and six bits in them.
    fn places(&self, hash: u64) -> impl Iterator<Item = (usize, u64)> + use<> {
        let lines = (self.words.len() / 8).max(1) as u64;
        let line = usize::try_from((hash >> 32) % lines).unwrap_or_default() * 8;
        let mut bits = hash.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (0..6).map(move |_| {
            bits = bits.rotate_left(9);
            (line + usize::try_from(bits >> 6 & 7).unwrap_or_default(), 1 << (bits & 63))
        })
    }

    fn insert(&mut self, hash: u64) {
        for (word, bit) in self.places(hash) {
            if let Some(word) = self.words.get_mut(word) {
                *word |= bit;
            }
        }
    }

    /// Whether the id with a key may be in the span.
    pub(crate) fn may_hold(&self, key: u128) -> bool {
        let hash = id_hash(key);
        self.words.is_empty() || self.places(hash).all(|(word, bit)| self.words.get(word).is_some_and(|w| w & bit != 0))
    }
}
