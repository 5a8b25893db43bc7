//! Where events are, by stream, category, type and id.
//!
//! The log is cut into *spans* of 65,536 positions. The span under way is indexed in memory; a finished one is
//! written to the store once, in chunks. All keys of a span and kind lie together, by name,
//! so that they are written in one run and a pattern finds its names by a range. A span's ids are stored sorted by
//! hash, with a filter in memory that tells nearly always when an id is not there. What retention drops is taken out
//! again.

mod names;
mod prune;

use std::collections::HashMap;

use compact_str::CompactString;
use tidewire_model::event::{Event, EventId, StreamName};
use tidewire_model::query::wildcard_matches;

use crate::LogError;
use crate::hashed::{self, IdKind, id_hash};
use crate::store::{Batch, Slice, Space, Store};
use crate::values::{SHORTENED_START, is_shortened, short_key};
use names::Names;
pub(crate) use prune::forget;

/// How many positions a span covers; few in this crate's own tests, so that they have many spans.
pub(crate) const SPAN: u64 = if cfg!(test) { 100 } else { 1 << 16 };
const CHUNK: usize = 6 * 1024;
/// How many entries are written in one step, during which readers wait.
const BATCH: usize = 256;

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
    streams: Names<StreamName>,
    categories: Names<CompactString>,
    types: Names<CompactString>,
    ids: Map<u128, u16>,
    /// Hashes of correlation ids.
    correlations: Vec<(u64, u16)>,
    /// Hashes of causation ids.
    causations: Vec<(u64, u16)>,
}

impl Span {
    /// An empty span.
    pub(crate) fn new(number: u64) -> Self {
        Self { number, ..Self::default() }
    }

    /// Adds an event. Events come in order of position.
    pub(crate) fn add(&mut self, event: &Event) {
        let offset = offset_of(event.position.get());
        let category = event.stream.category();
        self.streams.note(event.stream.as_str(), || event.stream.clone(), offset);
        self.types.note(&event.event_type, || event.event_type.clone(), offset);
        self.categories.note(category, || CompactString::from(category), offset);
        self.ids.insert(event.id.key(), offset);
        let link = |id: &Option<EventId>| id.as_ref().map(|id| (id_hash(id.key()), offset));
        self.correlations.extend(link(&event.correlation_id));
        self.causations.extend(link(&event.causation_id));
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

    /// Hands out the offsets of events under every name that matches a pattern.
    pub(crate) fn each_matching(&self, kind: Kind, pattern: &str, mut take: impl FnMut(&[u16])) {
        let mut look = |name: &str, offsets: &Vec<u16>| {
            if wildcard_matches(pattern, name) {
                take(offsets);
            }
        };
        match kind {
            Kind::Stream => self.streams.iter().for_each(|(name, offsets)| look(name.as_str(), offsets)),
            Kind::Category => self.categories.iter().for_each(|(name, offsets)| look(name, offsets)),
            Kind::Type => self.types.iter().for_each(|(name, offsets)| look(name, offsets)),
        }
    }

    /// The offsets of events whose correlation or causation id has a hash.
    pub(crate) fn linked(&self, kind: IdKind, hash: u64) -> impl Iterator<Item = u16> {
        let links = match kind {
            IdKind::Own => &[][..],
            IdKind::Correlation => &self.correlations,
            IdKind::Causation => &self.causations,
        };
        links.iter().filter(move |(known, _)| *known == hash).map(|(_, offset)| *offset)
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
        for (name, offsets) in self.streams.by_name() {
            writer.put_offsets(Kind::Stream, name.as_str(), self.number, offsets)?;
        }
        for (name, offsets) in self.categories.by_name() {
            writer.put_offsets(Kind::Category, name, self.number, offsets)?;
        }
        for (name, offsets) in self.types.by_name() {
            writer.put_offsets(Kind::Type, name, self.number, offsets)?;
        }
        let ids: Vec<(u64, u16)> = self.ids.iter().map(|(key, offset)| (id_hash(*key), *offset)).collect();
        let mut filter = IdFilter::new(ids.len());
        ids.iter().for_each(|(hash, _)| filter.insert(*hash));
        for (kind, entries) in [
            (IdKind::Own, ids),
            (IdKind::Correlation, self.correlations.clone()),
            (IdKind::Causation, self.causations.clone()),
        ] {
            hashed::write(kind, self.number, entries, |key, value| writer.put(key, value))?;
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
        if self.batch.len() < BATCH { Ok(()) } else { self.finish() }
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

/// What the keys of a kind begin with in a span.
fn kind_key(kind: Kind, span: u64) -> Vec<u8> {
    [&[b'i', kind.byte()], &span_bytes(span)[..]].concat()
}

fn offsets_key(kind: Kind, name: &str, span: u64) -> Vec<u8> {
    [kind_key(kind, span).as_slice(), short_key(name).as_slice(), &[0]].concat()
}

fn filter_key(span: u64) -> Vec<u8> {
    [b"f", &span_bytes(span)[..]].concat()
}

/// The offsets of a value that stay, and how many do not.
fn filtered_offsets(chunk: &[u8], stays: &impl Fn(u16) -> bool) -> (Vec<u8>, u64) {
    hashed::keep_entries(chunk, 2, |entry| entry.first_chunk().copied().map(u16::from_le_bytes).is_some_and(stays))
}

fn offsets_in(chunk: &Slice) -> impl Iterator<Item = u16> {
    chunk.chunks_exact(2).filter_map(|pair| pair.first_chunk().copied().map(u16::from_le_bytes))
}

/// Hands out the offsets of events under a name in a finished span, ascending. Answers how many values it read.
pub(crate) fn stored_offsets(
    store: &Store,
    kind: Kind,
    name: &str,
    span: u64,
    mut take: impl FnMut(u16),
) -> Result<usize, LogError> {
    let mut read = 1;
    for item in store.prefix(Space::Log, &offsets_key(kind, name, span)) {
        offsets_in(&item?.1).for_each(&mut take);
        read += 1;
    }
    Ok(read)
}

/// As [`stored_offsets`], for all names that match a pattern. Some that do not match may be among them.
pub(crate) fn stored_matching(
    store: &Store,
    kind: Kind,
    pattern: &str,
    span: u64,
    mut take: impl FnMut(u16),
) -> Result<usize, LogError> {
    let begin = kind_key(kind, span);
    let fixed = pattern.split('*').next().unwrap_or_default().as_bytes();
    let fixed = fixed.get(..fixed.len().min(SHORTENED_START)).unwrap_or(fixed);
    let mut read = 1;
    for item in store.prefix(Space::Log, &[begin.as_slice(), fixed].concat()) {
        let (key, chunk) = item?;
        read += 1;
        // The name stands before a zero and two bytes that number the chunks.
        let name = key.get(begin.len()..key.len().saturating_sub(3)).unwrap_or_default();
        if is_shortened(name) || std::str::from_utf8(name).is_ok_and(|name| wildcard_matches(pattern, name)) {
            offsets_in(&chunk).for_each(&mut take);
        }
    }
    Ok(read)
}

/// The positions in a finished span that may hold an id.
pub(crate) fn stored_ids(store: &Store, span: u64, key: u128) -> Result<Vec<u64>, LogError> {
    let offsets = hashed::stored(store, IdKind::Own, span, id_hash(key))?;
    Ok(offsets.into_iter().map(|offset| span_first(span) + u64::from(offset)).collect())
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
