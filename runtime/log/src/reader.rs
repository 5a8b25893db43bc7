//! Answers queries from memory and the store together.
//!
//! Forwards, the store is read up to where memory begins, and again if memory has moved on meanwhile; backwards,
//! memory comes first. Either way nothing between the two is missed, because events leave memory only when the
//! store has them.

use std::ops::Bound;
use std::sync::Arc;

use tidewire_model::event::{Event, EventId};
use tidewire_model::position::Position;
use tidewire_model::query::{Direction, Page, Query};

use crate::block::{block_key, read_block};
use crate::index::{SPAN, span_first, span_of, stored_ids};
use crate::leads::Leads;
use crate::live::Live;
use crate::shared::Shared;
use crate::store::{Slice, Space, Store};
use crate::{Bodies, LogError};

/// Most stored events that one read looks at before it answers with what it has. Looks into indexes count too.
const SCAN_MAX: usize = if cfg!(test) { 150 } else { 100_000 };

/// Reads events from blocks and keeps the last block at hand.
pub(crate) struct Blocks<'a> {
    store: &'a Store,
    first: u64,
    events: Vec<Arc<Event>>,
}

impl<'a> Blocks<'a> {
    pub(crate) const fn new(store: &'a Store) -> Self {
        Self { store, first: 0, events: Vec::new() }
    }

    /// The event at a position.
    pub(crate) fn get(&mut self, position: u64) -> Result<Option<Arc<Event>>, LogError> {
        if let Some(event) = self.at_hand(position) {
            return Ok(Some(event));
        }
        let (low, high) = (block_key(0), block_key(position));
        let found = self.store.range(Space::Log, Bound::Included(&low), Bound::Included(&high)).next_back();
        self.load(found.transpose()?)?;
        Ok(self.at_hand(position))
    }

    fn at_hand(&self, position: u64) -> Option<Arc<Event>> {
        let index = usize::try_from(position.checked_sub(self.first)?).ok()?;
        let is_it = |event: &&Arc<Event>| event.position.get() == position;
        if let Some(event) = self.events.get(index).filter(is_it) {
            return Some(Arc::clone(event));
        }
        // Retention may have left a block with gaps.
        let index = self.events.binary_search_by_key(&position, |event| event.position.get()).ok()?;
        self.events.get(index).cloned()
    }

    /// The first event at or after a position.
    pub(crate) fn at_or_after(&mut self, position: u64) -> Result<Option<Arc<Event>>, LogError> {
        if let Some(event) = self.get(position)? {
            return Ok(Some(event));
        }
        if let Some(event) = self.events.iter().find(|event| event.position.get() > position) {
            return Ok(Some(Arc::clone(event)));
        }
        let (low, high) = (block_key(position), block_key(u64::MAX));
        let found = self.store.range(Space::Log, Bound::Excluded(&low), Bound::Included(&high)).next();
        self.load(found.transpose()?)?;
        Ok(self.events.first().cloned())
    }

    /// The last event before a position.
    pub(crate) fn before(&mut self, position: u64) -> Result<Option<Arc<Event>>, LogError> {
        self.get(position)?;
        if let Some(event) = self.events.iter().rfind(|event| event.position.get() < position) {
            return Ok(Some(Arc::clone(event)));
        }
        let (low, high) = (block_key(0), block_key(self.first.min(position)));
        let found = self.store.range(Space::Log, Bound::Included(&low), Bound::Excluded(&high)).next_back();
        self.load(found.transpose()?)?;
        Ok(self.events.last().cloned())
    }

    fn load(&mut self, found: Option<(Slice, Slice)>) -> Result<(), LogError> {
        let next = self.events.last().map(|event| event.position.get() + 1);
        (self.first, self.events) = match found {
            Some((key, value)) => {
                let first = first_of(&key);
                if next != Some(first) {
                    self.store.read_once(Space::Log, &key)?;
                }
                match read_block(self.store, first, &value) {
                    // Retention took something out meanwhile.
                    Err(_) if self.store.get(Space::Log, &key)?.is_none_or(|now| *now != *value) => (0, Vec::new()),
                    events => (first, events?),
                }
            }
            None => (0, Vec::new()),
        };
        Ok(())
    }
}

fn first_of(key: &Slice) -> u64 {
    key.last_chunk().copied().map_or(0, u64::from_be_bytes)
}

/// A page under way.
struct Reading<'a> {
    query: &'a Query,
    bodies: &'a Bodies,
    limit: usize,
    page: Page,
}

impl Reading<'_> {
    /// Looks at an event; answers whether the page is full before it. May block on the disk.
    fn full_before(&mut self, event: Arc<Event>) -> bool {
        if self.page.events.len() >= self.limit {
            self.page.next = Some(event.position);
            return true;
        }
        if self.query.filter.matches_envelope(&event) {
            let event = self.bodies.whole(event);
            if self.query.filter.matches_data(&event) {
                self.page.events.push(event);
            }
        }
        false
    }
}

/// Events in memory are looked at in so many at a time, without keeping the writer from adding more.
const CHUNK: usize = 1024;

/// Answers a query that memory alone can answer; `None` when the store is needed.
pub(crate) fn read_live(shared: &Shared, query: &Query) -> Option<Page> {
    let live = shared.live.read();
    let timed = query.filter.from_time.is_some() || query.filter.to_time.is_some();
    if query.direction == Direction::Backwards || timed || query.from.get().max(1) < live.tail_first() {
        return None;
    }
    let mut reading = reading(query, &shared.bodies, &live);
    for event in live.tail_range(query.from.get(), u64::MAX) {
        if query.filter.matches_envelope(event) && !shared.bodies.at_hand(event) {
            return None;
        }
        if reading.full_before(Arc::clone(event)) {
            break;
        }
    }
    Some(reading.page)
}

fn reading<'a>(query: &'a Query, bodies: &'a Bodies, live: &Live) -> Reading<'a> {
    let page = Page { head: Position::new(live.head), ..Page::default() };
    Reading { query, bodies, limit: query.limit.min(Query::MAX_LIMIT), page }
}

/// Answers a query. Blocks on the disk.
pub(crate) fn read(shared: &Shared, store: &Store, query: &Query) -> Result<Page, LogError> {
    let mut reading = reading(query, &shared.bodies, &shared.live.read());
    let first = match query.filter.from_time {
        Some(time) => position_at_time(shared, store, time)?,
        None => 1,
    };
    let last = match query.filter.to_time {
        Some(time) => position_at_time(shared, store, time)?.saturating_sub(1),
        None => u64::MAX,
    };
    let leads = Leads::of(&query.filter);
    let from = query.from.get();
    match query.direction {
        Direction::Forwards => forwards(shared, store, &leads, &mut reading, (from.max(first), last))?,
        Direction::Backwards => {
            let last = if from == 0 { last } else { last.min(from) };
            backwards(shared, store, &leads, &mut reading, (first, last))?;
        }
    }
    Ok(reading.page)
}

fn forwards(
    shared: &Shared,
    store: &Store,
    leads: &Leads,
    reading: &mut Reading<'_>,
    (mut cursor, last): (u64, u64),
) -> Result<(), LogError> {
    loop {
        let live = shared.live.read();
        let last_stored = last.min(live.tail_first() - 1);
        if cursor > last_stored {
            reading.page.head = Position::new(live.head);
            let chunk: Vec<_> = live.tail_range(cursor, last).take(CHUNK).cloned().collect();
            drop(live);
            let Some(highest) = chunk.last().map(|event| event.position.get()) else { return Ok(()) };
            if chunk.into_iter().any(|event| reading.full_before(event)) {
                return Ok(());
            }
            cursor = highest + 1;
            continue;
        }
        let last_meant = last_stored.min(leads.end(&live));
        drop(live);
        if scan(shared, store, leads, reading, (cursor, last_meant))? {
            return Ok(());
        }
        cursor = last_stored + 1;
    }
}

fn backwards(
    shared: &Shared,
    store: &Store,
    leads: &Leads,
    reading: &mut Reading<'_>,
    (first, mut last): (u64, u64),
) -> Result<(), LogError> {
    let mut head = None;
    let last_stored = loop {
        let live = shared.live.read();
        reading.page.head = *head.get_or_insert(Position::new(live.head));
        let chunk: Vec<_> = live.tail_range(first, last).rev().take(CHUNK).cloned().collect();
        let lowest = chunk.last().map(|event| event.position.get());
        let Some(lowest) = lowest else { break last.min(live.tail_first() - 1).min(leads.end(&live)) };
        drop(live);
        if chunk.into_iter().any(|event| reading.full_before(event)) {
            return Ok(());
        }
        last = lowest - 1;
    };
    scan(shared, store, leads, reading, (first, last_stored)).map(drop)
}

/// Looks at stored events in the direction of the query. Answers whether the page is done.
fn scan(
    shared: &Shared,
    store: &Store,
    leads: &Leads,
    reading: &mut Reading<'_>,
    (first, last): (u64, u64),
) -> Result<bool, LogError> {
    if first > last {
        return Ok(false);
    }
    let backwards = reading.query.direction == Direction::Backwards;
    let mut blocks = Blocks::new(store);
    let mut budget = SCAN_MAX;
    // A condition takes longer to ask than an event to read.
    let each = if reading.query.filter.matching.is_some() { 8 } else { 1 };
    let (low, high) = (span_of(first), span_of(last));
    for step in 0..=high - low {
        let span = if backwards { high - step } else { low + step };
        let begin = span_first(span);
        let within = (first.max(begin), last.min(begin + SPAN - 1));
        if budget == 0 {
            reading.page.next = Some(Position::new(if backwards { within.1 } else { within.0 }));
            return Ok(true);
        }
        let (listed, cost) = leads.in_span(shared, store, span)?;
        // Something of each span is looked at, so that each page gets on.
        budget = budget.saturating_sub(cost).max(1);
        let listed = listed.map(|offsets| offsets.within(within.0 - begin, within.1 - begin));
        let count = listed.as_ref().map_or(within.1 - within.0 + 1, |listed| listed.len() as u64);
        let mut step = 0;
        while step < count {
            let index = if backwards { count - 1 - step } else { step };
            let position = match &listed {
                None => within.0 + index,
                Some(listed) => {
                    begin + usize::try_from(index).ok().and_then(|index| listed.get(index)).copied().unwrap_or(0)
                }
            };
            if budget == 0 {
                reading.page.next = Some(Position::new(position));
                return Ok(true);
            }
            budget = budget.saturating_sub(each);
            let Some(event) = stored_event(shared, &mut blocks, position)? else {
                step += if listed.is_some() { 1 } else { steps_to_next(&mut blocks, position, backwards)? };
                continue;
            };
            step += 1;
            let is_first = backwards && leads.begin_at(&event);
            if reading.full_before(event) || is_first {
                return Ok(true);
            }
        }
        if count == 0 {
            budget -= 1;
        }
    }
    Ok(false)
}

/// A stored event; `None` when retention dropped it.
fn stored_event(shared: &Shared, blocks: &mut Blocks<'_>, position: u64) -> Result<Option<Arc<Event>>, LogError> {
    let event = blocks.get(position)?;
    if event.is_none() && position > shared.live.read().compacted {
        return Err(LogError::Store(format!("the event at position {position} is missing")));
    }
    Ok(event)
}

/// How far the next event is from a position that has none.
fn steps_to_next(blocks: &mut Blocks<'_>, position: u64, backwards: bool) -> Result<u64, LogError> {
    let next = if backwards { blocks.before(position)? } else { blocks.at_or_after(position)? };
    Ok(next.map_or(u64::from(u32::MAX), |event| event.position.get().abs_diff(position)))
}

/// The first position recorded at or after a time.
pub(crate) fn position_at_time(shared: &Shared, store: &Store, time: i64) -> Result<u64, LogError> {
    let stored = {
        let live = shared.live.read();
        let before = live.tail.partition_point(|event| event.recorded_time < time);
        if before > 0 || live.tail_first() == 1 {
            return Ok(live.tail.get(before).map_or(live.head + 1, |event| event.position.get()));
        }
        live.tail_first() - 1
    };
    let mut blocks = Blocks::new(store);
    let (mut low, mut high) = (1, stored + 1);
    while low < high {
        let middle = low + (high - low) / 2;
        let event = blocks.at_or_after(middle)?.filter(|event| event.position.get() <= stored);
        if event.is_some_and(|event| event.recorded_time < time) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if low <= stored
        && let Some(event) = blocks.at_or_after(low)?.filter(|event| event.position.get() <= stored)
    {
        return Ok(event.position.get());
    }
    let live = shared.live.read();
    Ok(live.tail_range(low, u64::MAX).next().map_or(live.head + 1, |event| event.position.get()))
}

/// The event at a position.
pub(crate) fn event_at(shared: &Shared, store: &Store, position: u64) -> Result<Option<Arc<Event>>, LogError> {
    {
        let live = shared.live.read();
        if position == 0 || position > live.head {
            return Ok(None);
        }
        if let Some(event) = live.in_tail(position) {
            return Ok(Some(Arc::clone(event)));
        }
    }
    Blocks::new(store).get(position)
}

/// The event with an id. `recent` looks only where repeated ids are looked for.
pub(crate) fn find(shared: &Shared, store: &Store, id: &EventId, recent: bool) -> Result<Option<Arc<Event>>, LogError> {
    let key = id.key();
    let (in_memory, spans) = {
        let live = shared.live.read();
        let in_memory = live.spans().rev().find_map(|span| span.find(key));
        let known = live.filters.first_key_value().map_or(live.span.number, |(first, _)| *first);
        let recently = live.id_spans.front().map_or(known, |(first, _)| *first);
        let filtered = live.filters.iter().rev().filter(|(_, filter)| filter.may_hold(key)).map(|(span, _)| *span);
        let older = (if recent { recently } else { 0 }..known).rev();
        (in_memory, filtered.chain(older).collect::<Vec<_>>())
    };
    if let Some(position) = in_memory
        && let Some(event) = event_at(shared, store, position)?.filter(|event| event.id == *id)
    {
        return Ok(Some(event));
    }
    for span in spans {
        for position in stored_ids(store, span, key)? {
            if let Some(event) = event_at(shared, store, position)?.filter(|event| event.id == *id) {
                return Ok(Some(event));
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests;
