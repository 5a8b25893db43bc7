//! Which positions the indexes lead to for a filter.
//!
//! Each part of a filter that has an index gives a set of positions in a span; the sets are intersected, the most
//! telling first. A set may hold more than what is meant (ids by hash, long names by their beginning): whoever reads
//! the events still asks the filter. Text and expressions have no index: they are looked for among what is left.

use compact_str::CompactString;
use tidewire_model::event::Event;
use tidewire_model::query::{Filter, has_wildcard};

use crate::LogError;
use crate::hashed::{self, IdKind, id_hash};
use crate::index::{Kind, Span, stored_matching, stored_offsets};
use crate::live::Live;
use crate::shared::Shared;
use crate::store::Store;

/// When so few positions are left, reading them costs less than looking into another index.
const FEW: usize = 32;
/// What a look into a span's index costs, in events looked at.
const LOOK: usize = 4;

/// One part of a filter, for which there is an index.
enum Lead {
    Id(IdKind, u64),
    /// Any of these names or patterns.
    Names(Kind, Vec<CompactString>),
}

/// The parts of a filter that have an index. Without any, all positions have to be looked at.
pub(crate) struct Leads {
    leads: Vec<Lead>,
    /// The one stream that is meant, if it is one.
    stream: Option<CompactString>,
}

/// The positions of a span that are left, as offsets.
pub(crate) struct Offsets {
    words: Vec<u64>,
}

impl Offsets {
    fn empty() -> Self {
        Self { words: vec![0; 1 << 10] }
    }

    fn insert(&mut self, offset: u16) {
        if let Some(word) = self.words.get_mut(usize::from(offset) / 64) {
            *word |= 1 << (offset % 64);
        }
    }

    fn intersect(&mut self, other: &Self) {
        self.words.iter_mut().zip(&other.words).for_each(|(word, other)| *word &= other);
    }

    fn len(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// The offsets between two, both inclusive, ascending.
    pub(crate) fn within(&self, first: u64, last: u64) -> Vec<u64> {
        let mut found = Vec::new();
        for (word, base) in self.words.iter().zip((0_u64..).step_by(64)) {
            let mut rest = *word;
            while rest != 0 {
                let offset = base + u64::from(rest.trailing_zeros());
                rest &= rest - 1;
                if (first..=last).contains(&offset) {
                    found.push(offset);
                }
            }
        }
        found
    }
}

impl Leads {
    /// The parts of a filter that have an index, the most telling first.
    pub(crate) fn of(filter: &Filter) -> Self {
        let mut leads = Vec::new();
        for (kind, id) in [(IdKind::Causation, &filter.causation_id), (IdKind::Correlation, &filter.correlation_id)] {
            leads.extend(id.as_ref().map(|id| Lead::Id(kind, id_hash(id.key()))));
        }
        let exact = filter.stream.as_deref().is_some_and(|stream| !has_wildcard(stream));
        let everything = |pattern: &CompactString| pattern.chars().all(|c| c == '*') && !pattern.is_empty();
        let names = |kind, pattern: &CompactString| Lead::Names(kind, vec![pattern.clone()]);
        leads.extend(filter.stream.as_ref().filter(|pattern| !everything(pattern)).map(|it| names(Kind::Stream, it)));
        if !filter.event_types.is_empty() && !filter.event_types.iter().any(everything) {
            leads.push(Lead::Names(Kind::Type, filter.event_types.clone()));
        }
        // A stream says its category.
        leads.extend(filter.category_name().filter(|_| !exact).map(|it| names(Kind::Category, &it.into())));
        Self { leads, stream: filter.stream.clone().filter(|_| exact) }
    }

    /// The last position that can be meant, as far as memory tells.
    pub(crate) fn end(&self, live: &Live) -> u64 {
        let Some(stream) = &self.stream else { return u64::MAX };
        live.heads.get(stream.as_str()).map_or(0, |head| head.position)
    }

    /// Whether nothing before an event can be meant: it is the first of the one stream.
    pub(crate) fn begin_at(&self, event: &Event) -> bool {
        event.version == 1 && self.stream.as_ref().is_some_and(|stream| event.stream.as_str() == stream)
    }

    /// The offsets in a span that the indexes lead to, with what it cost to find them (in events looked at); `None`
    /// when all have to be looked at.
    pub(crate) fn in_span(
        &self,
        shared: &Shared,
        store: &Store,
        span: u64,
    ) -> Result<(Option<Offsets>, usize), LogError> {
        let mut left: Option<Offsets> = None;
        let mut cost = 0;
        for lead in &self.leads {
            if left.as_ref().is_some_and(|left| left.len() <= FEW) {
                break;
            }
            let mut found = Offsets::empty();
            let in_memory = {
                let live = shared.live.read();
                live.spans().find(|known| known.number == span).map(|known| lead.in_memory(known, &mut found))
            };
            cost += LOOK;
            if in_memory.is_none() {
                cost += lead.stored(store, span, &mut found)?;
            }
            match &mut left {
                Some(left) => left.intersect(&found),
                none => *none = Some(found),
            }
        }
        Ok((left, cost))
    }
}

impl Lead {
    fn in_memory(&self, span: &Span, found: &mut Offsets) {
        let mut add = |offsets: &[u16]| offsets.iter().for_each(|offset| found.insert(*offset));
        match self {
            Self::Id(kind, hash) => span.linked(*kind, *hash).for_each(|offset| add(&[offset])),
            Self::Names(kind, names) => {
                for name in names {
                    if has_wildcard(name) {
                        span.each_matching(*kind, name, &mut add);
                    } else {
                        add(span.offsets(*kind, name));
                    }
                }
            }
        }
    }

    /// Answers how many values it read.
    fn stored(&self, store: &Store, span: u64, found: &mut Offsets) -> Result<usize, LogError> {
        let mut read = 0;
        match self {
            Self::Id(kind, hash) => {
                let offsets = hashed::stored(store, *kind, span, *hash)?;
                read += 1;
                offsets.into_iter().for_each(|offset| found.insert(offset));
            }
            Self::Names(kind, names) => {
                for name in names {
                    let take = |offset| found.insert(offset);
                    read += if has_wildcard(name) {
                        stored_matching(store, *kind, name, span, take)?
                    } else {
                        stored_offsets(store, *kind, name, span, take)?
                    };
                }
            }
        }
        Ok(read)
    }
}
