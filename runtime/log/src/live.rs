//! What the log keeps in memory: the newest events, stream heads, the index under way and state on its way to the
//! store.
//!
//! Invariant: whatever is durable and not in the store yet is here, so a reader who looks here and then in the
//! store misses nothing.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use compact_str::CompactString;
use tidewire_model::append::StateChange;
use tidewire_model::event::{Event, StreamName};
use tidewire_model::position::Position;
use tidewire_model::query::StreamHead;

use crate::index::{IdFilter, Span, span_first, span_of};
use crate::names::Names;
use crate::plan::IdWindow;

/// The newest events that the store has already stay in memory for subscribers that are close behind, unless they
/// take more than this.
const KEEP_BYTES: usize = 8 * 1024 * 1024;
/// So many filters of finished spans stay in memory: for 67 million ids. One takes 96 KiB.
pub(crate) const FILTERS_MAX: usize = 1024;

/// The last event of a stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) version: u64,
    pub(crate) position: u64,
    pub(crate) recorded_time: i64,
}

impl Head {
    pub(crate) fn of(self, stream: StreamName) -> StreamHead {
        StreamHead {
            stream,
            version: self.version,
            position: Position::new(self.position),
            recorded_time: self.recorded_time,
        }
    }
}

#[derive(Default)]
pub(crate) struct Live {
    /// The last durable commit.
    pub(crate) commit: u64,
    /// The last durable position.
    pub(crate) head: u64,
    /// All events after `released`, up to `head`; positions that retention dropped are missing.
    pub(crate) tail: VecDeque<Arc<Event>>,
    /// Events up to here are in the store only.
    released: u64,
    tail_bytes: usize,
    /// So many newest events stay in memory even when the store has them.
    pub(crate) keep_events: usize,
    /// Positions up to here may be missing because retention dropped them.
    pub(crate) compacted: u64,
    /// The last position in the store.
    pub(crate) stored: u64,
    /// The last event of every stream.
    pub(crate) heads: HashMap<StreamName, Head, foldhash::fast::RandomState>,
    /// The names of all streams in order, once somebody has asked.
    pub(crate) names: Names,
    /// Finished spans that are not in the store yet.
    pub(crate) finished: VecDeque<Arc<Span>>,
    /// The span under way.
    pub(crate) span: Span,
    /// Filters of the spans in which repeated ids are looked for.
    pub(crate) filters: BTreeMap<u64, Arc<IdFilter>>,
    /// Finished spans in which repeated ids are looked for, and when the last event of each was recorded.
    pub(crate) id_spans: VecDeque<(u64, i64)>,
    /// State that is not in the store yet, with the commit it came with.
    state: HashMap<CompactString, (u64, Option<Bytes>), foldhash::fast::RandomState>,
}

impl Live {
    /// An empty memory that keeps so many events even when the store has them.
    pub(crate) fn new(keep_events: usize) -> Self {
        Self { keep_events, ..Self::default() }
    }

    /// From this position on, all events are in memory.
    pub(crate) const fn tail_first(&self) -> u64 {
        self.released + 1
    }

    /// Begins where the store ends, with nothing in memory.
    pub(crate) const fn begin_after(&mut self, commit: u64, position: u64) {
        self.commit = commit;
        self.head = position;
        self.stored = position;
        self.released = position;
    }

    /// Moves the head over positions that retention dropped.
    pub(crate) fn reach(&mut self, position: u64) {
        self.head = self.head.max(position);
    }

    /// Takes over what has become durable. What is known already is skipped.
    pub(crate) fn publish(&mut self, commit: u64, events: &[Arc<Event>], state: &[StateChange]) {
        self.commit = self.commit.max(commit);
        for event in events {
            if event.position.get() > self.head {
                self.note(event);
                self.head = event.position.get();
                self.tail_bytes += event.size();
                self.tail.push_back(Arc::clone(event));
            }
        }
        for change in state {
            let newer = self.state.get(&change.key).is_none_or(|(known, _)| *known <= commit);
            if newer {
                self.state.insert(change.key.clone(), (commit, change.value.clone()));
            }
        }
    }

    /// Indexes an event and moves its stream's head.
    pub(crate) fn note(&mut self, event: &Event) {
        let position = event.position.get();
        let number = span_of(position);
        if number != self.span.number {
            let finished = std::mem::replace(&mut self.span, Span::new(number));
            self.finished.push_back(Arc::new(finished));
        }
        self.span.add(event);
        let head = Head { version: event.version, position, recorded_time: event.recorded_time };
        match self.heads.get_mut(&event.stream) {
            Some(place) if place.position > position => {}
            Some(place) => *place = head,
            None => {
                self.names.note(&event.stream);
                self.heads.insert(event.stream.clone(), head);
            }
        }
    }

    /// Notes that the store has everything up to a position, and lets go of what need not stay in memory.
    pub(crate) fn advance(&mut self, stored: u64) {
        self.stored = stored;
        while let Some(first) = self.tail.front()
            && first.position.get() <= stored
            && (self.tail.len() > self.keep_events || self.tail_bytes > KEEP_BYTES)
        {
            self.tail_bytes = self.tail_bytes.saturating_sub(first.size());
            self.released = first.position.get();
            self.tail.pop_front();
        }
    }

    /// Lets go of events that retention dropped.
    pub(crate) fn forget(&mut self, dropped: impl Fn(u64) -> bool) {
        self.tail.retain(|event| !dropped(event.position.get()));
        self.tail_bytes = self.tail.iter().map(|event| event.size()).sum();
    }

    /// Notes a finished span, and forgets those in which no id is recognised any more.
    pub(crate) fn remember_ids(&mut self, span: u64, filter: IdFilter, last_time: i64, window: IdWindow) {
        self.filters.insert(span, Arc::new(filter));
        self.id_spans.push_back((span, last_time));
        while let Some((oldest, time)) = self.id_spans.front().copied()
            && !window.holds((span_first(oldest + 1) - 1, time), self.head, last_time)
        {
            self.id_spans.pop_front();
            self.filters.remove(&oldest);
        }
        while self.filters.len() > FILTERS_MAX {
            self.filters.pop_first();
        }
    }

    /// Notes that the store has the state of all commits up to this one.
    pub(crate) fn state_stored(&mut self, commit: u64) {
        self.state.retain(|_, (known, _)| *known > commit);
    }

    /// State that is not in the store: `Some(None)` is a key that was removed.
    pub(crate) fn state(&self, key: &str) -> Option<Option<Bytes>> {
        self.state.get(key).map(|(_, value)| value.clone())
    }

    /// All state under a prefix that is not in the store.
    pub(crate) fn states<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a CompactString, &'a Option<Bytes>)> + 'a {
        self.state.iter().filter(move |(key, _)| key.starts_with(prefix)).map(|(key, (_, value))| (key, value))
    }

    /// The events in memory between two positions, both inclusive.
    pub(crate) fn tail_range(&self, first: u64, last: u64) -> impl DoubleEndedIterator<Item = &Arc<Event>> {
        let index = |position: u64| self.tail.partition_point(|event| event.position.get() < position);
        let (low, high) = (index(first), index(last.saturating_add(1)));
        self.tail.range(low.min(high)..high)
    }

    /// The event at a position, if it is in memory.
    pub(crate) fn in_tail(&self, position: u64) -> Option<&Arc<Event>> {
        self.tail_range(position, position).next().filter(|event| event.position.get() == position)
    }

    /// The span with a number, if it is in memory.
    pub(crate) fn spans(&self) -> impl DoubleEndedIterator<Item = &Span> {
        self.finished.iter().map(|span| &**span).chain(std::iter::once(&self.span))
    }
}
