//! Answers queries from memory and the store together.
//!
//! Forwards, the store is read up to where memory begins, and again if memory has moved on meanwhile; backwards,
//! memory comes first. Either way nothing between the two is missed, because events leave memory only when the
//! store has them.

mod blocks;

use std::sync::Arc;

use tidewire_model::event::{Event, EventId};
use tidewire_model::position::Position;
use tidewire_model::query::{Direction, Page, Query};

use crate::index::{SPAN, span_first, span_of, stored_ids};
use crate::leads::Leads;
use crate::live::Live;
use crate::shared::Shared;
use crate::store::Store;
use crate::{Bodies, LogError, Take};
pub(crate) use blocks::Blocks;

/// Most stored events that one read looks at before it answers with what it has. Looks into indexes count too.
const SCAN_MAX: usize = if cfg!(test) { 150 } else { 100_000 };

/// Who takes events as they are read.
struct Taking<'a, 't> {
    take: &'a mut Take<'t>,
    /// How many were taken.
    count: usize,
    stopped: bool,
}

/// Events are handed over so many at a time: about a block of them.
const HANDED: usize = 32;

/// A page under way.
struct Reading<'a, 't> {
    query: &'a Query,
    bodies: &'a Bodies,
    limit: usize,
    page: Page,
    /// Where events go, unless they stay in the page.
    taking: Option<Taking<'a, 't>>,
}

impl Reading<'_, '_> {
    /// Looks at an event; answers whether the page is full before it. May block on the disk.
    fn full_before(&mut self, event: Arc<Event>) -> bool {
        if self.is_full() {
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

    fn is_full(&mut self) -> bool {
        let waiting = self.page.events.len();
        if self.taking.is_some() && waiting >= HANDED {
            self.hand_over();
        }
        match &self.taking {
            None => waiting >= self.limit,
            Some(taking) => taking.stopped || taking.count + self.page.events.len() >= self.limit,
        }
    }

    /// Hands over what has been found.
    fn hand_over(&mut self) {
        if let Some(taking) = &mut self.taking
            && !self.page.events.is_empty()
        {
            taking.count += self.page.events.len();
            taking.stopped |= (taking.take)(&self.page.events).is_break();
            self.page.events.clear();
        }
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
    let mut reading = reading(query, &shared.bodies, &live, None);
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

fn reading<'a, 't>(
    query: &'a Query,
    bodies: &'a Bodies,
    live: &Live,
    take: Option<&'a mut Take<'t>>,
) -> Reading<'a, 't> {
    let page = Page { head: Position::new(live.head), ..Page::default() };
    let taking = take.map(|take| Taking { take, count: 0, stopped: false });
    Reading { query, bodies, limit: query.limit.min(Query::MAX_LIMIT), page, taking }
}

/// Answers a query, or hands what it finds to `take`. Blocks on the disk.
pub(crate) fn read(
    shared: &Shared,
    store: &Store,
    query: &Query,
    take: Option<&mut Take<'_>>,
) -> Result<Page, LogError> {
    let mut reading = reading(query, &shared.bodies, &shared.live.read(), take);
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
    reading.hand_over();
    Ok(reading.page)
}

fn forwards(
    shared: &Shared,
    store: &Store,
    leads: &Leads,
    reading: &mut Reading<'_, '_>,
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
    reading: &mut Reading<'_, '_>,
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
    reading: &mut Reading<'_, '_>,
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
