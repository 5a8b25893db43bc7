//! Decides what an append does: checks names, ids and expected versions and numbers the events.
//!
//! Pure apart from the lookups it is given; both engines decide through it, so they cannot differ. It stores
//! nothing: when a plan is dropped, nothing has happened.

use std::collections::HashMap;
use std::sync::Arc;

use compact_str::CompactString;
use tidewire_model::append::{AppendError, AppendRequest, Appended, StateChange};
use tidewire_model::event::{Event, EventId, NewEvent, Place, StreamName, check_event_type};
use tidewire_model::position::Position;

use crate::LogError;

/// The most bytes that one call may append.
pub(crate) const MAX_BYTES: usize = 16 * 1024 * 1024;
/// The most bytes that one call may append as requests of their own.
pub(crate) const MAX_BULK_BYTES: usize = 64 * 1024 * 1024;
/// The most events that one request may append.
pub(crate) const MAX_EVENTS: usize = 10_000;

/// How far back an event id that is given again is recognised: as far as the longer of the two reaches. What is older
/// counts as new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdWindow {
    /// Among so many newest events.
    pub events: u64,
    /// For so many milliseconds after it was recorded.
    pub ms: i64,
}

impl Default for IdWindow {
    fn default() -> Self {
        Self { events: 1_000_000, ms: 24 * 60 * 60 * 1000 }
    }
}

impl IdWindow {
    /// Whether an event is within the window when the log ends at `head` and the time is `now`.
    pub(crate) const fn holds(self, (position, recorded_time): (u64, i64), head: u64, now: i64) -> bool {
        position.saturating_add(self.events) > head || recorded_time.saturating_add(self.ms) > now
    }
}

type Map<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// What a planner has to know of what is stored.
pub(crate) trait Stored {
    /// The version of a stream, 0 when it has no event.
    fn version(&self, stream: &StreamName) -> u64;
    /// The event with an id.
    fn find(&self, id: &EventId) -> Result<Option<Arc<Event>>, LogError>;
}

/// Makes ids that grow with time.
#[derive(Debug, Default)]
pub(crate) struct IdSource {
    last: u128,
}

impl IdSource {
    fn next(&mut self, now: i64) -> EventId {
        let now = u64::try_from(now).unwrap_or_default();
        // A new random part only when the millisecond changes; within one, ids count up.
        if u128::from(now) > self.last >> 80 {
            self.last = ulid::Ulid::from_parts(now, ulid::Ulid::new().random()).0;
        } else {
            self.last = self.last.wrapping_add(1);
        }
        EventId::Bits(self.last)
    }
}

/// Plans appends one after another, as one group.
pub(crate) struct Planner<'a, S> {
    stored: &'a S,
    ids: &'a mut IdSource,
    window: IdWindow,
    next: u64,
    now: i64,
    /// What the group has decided so far.
    pub(crate) events: Vec<Arc<Event>>,
    versions: Map<StreamName, u64>,
    /// What the streams' versions were before the requests that are being planned.
    undo: Vec<(StreamName, u64)>,
    pending: Map<EventId, usize>,
}

impl<'a, S: Stored> Planner<'a, S> {
    /// A planner that numbers events after `head`. `now` must not be before the last recorded time.
    pub(crate) fn new(stored: &'a S, ids: &'a mut IdSource, window: IdWindow, (head, now): (Position, i64)) -> Self {
        let next = head.get() + 1;
        let (events, undo) = (Vec::new(), Vec::new());
        Self { stored, ids, window, next, now, events, versions: Map::default(), undo, pending: Map::default() }
    }

    /// Plans requests that happen all or not at all.
    pub(crate) fn plan_all(&mut self, requests: Vec<AppendRequest>) -> Result<Vec<Appended>, AppendError> {
        check_size(&requests)?;
        let mark = self.events.len();
        self.undo.clear();
        let mut results = Vec::with_capacity(requests.len());
        for request in requests {
            match self.plan_one(request) {
                Ok(appended) => results.push(appended),
                Err(error) => {
                    self.roll_back(mark);
                    return Err(error);
                }
            }
        }
        Ok(results)
    }

    fn roll_back(&mut self, mark: usize) {
        while let Some((stream, version)) = self.undo.pop() {
            self.versions.insert(stream, version);
        }
        for event in self.events.drain(mark..) {
            self.pending.remove(&event.id);
        }
        self.pending.retain(|_, index| *index < mark);
    }

    fn plan_one(&mut self, request: AppendRequest) -> Result<Appended, AppendError> {
        if request.events.is_empty() {
            return Err(AppendError::Empty);
        }
        if request.events.len() > MAX_EVENTS {
            return Err(AppendError::TooMany { count: request.events.len(), limit: MAX_EVENTS });
        }
        for event in &request.events {
            check_event_type(&event.event_type)?;
            check_id(event.id.as_ref())?;
        }
        if let Some(appended) = self.stored_before(&request)? {
            return Ok(appended);
        }
        let AppendRequest { stream, expected, events } = request;
        let known = match self.versions.get_mut(&stream) {
            Some(known) => known,
            None => self.versions.entry(stream.clone()).or_insert_with(|| self.stored.version(&stream)),
        };
        let mut version = *known;
        if !expected.is_met_by(version) {
            return Err(AppendError::Conflict { stream, expected, actual: version });
        }
        *known += events.len() as u64;
        self.undo.push((stream.clone(), version));
        let first = self.next + self.events.len() as u64;
        for event in events {
            version += 1;
            self.push(stream.clone(), version, event)?;
        }
        let last_position = Position::new(self.next + self.events.len() as u64 - 1);
        Ok(Appended { first_position: Position::new(first), last_position, version, deduplicated: false })
    }

    fn push(&mut self, stream: StreamName, version: u64, event: NewEvent) -> Result<(), AppendError> {
        let index = self.events.len();
        if let Some(id) = &event.id
            && self.pending.insert(id.clone(), index).is_some()
        {
            return Err(AppendError::DuplicateId { id: id.clone(), position: Position::ZERO });
        }
        let position = Position::new(self.next + index as u64);
        let place = Place { stream, position, version, recorded_time: self.now };
        self.events.push(Arc::new(event.record(|| self.ids.next(self.now), place)));
        Ok(())
    }

    /// The first result, when every event of the request is stored or planned already.
    fn stored_before(&self, request: &AppendRequest) -> Result<Option<Appended>, AppendError> {
        let mut found: Vec<Arc<Event>> = Vec::new();
        let mut missing = false;
        for event in &request.events {
            let Some(id) = &event.id else {
                missing = true;
                continue;
            };
            match self.find(id)? {
                Some(before) if before.says_the_same(&request.stream, event) => found.push(before),
                Some(before) => return Err(AppendError::DuplicateId { id: id.clone(), position: before.position }),
                None => missing = true,
            }
        }
        let (Some(first), Some(last)) = (found.first(), found.last()) else { return Ok(None) };
        if missing {
            return Err(AppendError::PartlyStored { id: first.id.clone(), position: first.position });
        }
        Ok(Some(Appended {
            first_position: first.position,
            last_position: last.position,
            version: last.version,
            deduplicated: true,
        }))
    }

    fn find(&self, id: &EventId) -> Result<Option<Arc<Event>>, AppendError> {
        if let Some(event) = self.pending.get(id).and_then(|index| self.events.get(*index)) {
            return Ok(Some(Arc::clone(event)));
        }
        let found = self.stored.find(id).map_err(|error| AppendError::ReadOnly { reason: error.full_text() })?;
        let head = self.next - 1 + self.events.len() as u64;
        let place = |event: &Event| (event.position.get(), event.recorded_time);
        Ok(found.filter(|event| self.window.holds(place(event), head, self.now)))
    }
}

/// Refuses what is more than one call may append.
pub(crate) fn check_size(requests: &[AppendRequest]) -> Result<(), AppendError> {
    let size = requests.iter().map(AppendRequest::size).sum();
    if size > MAX_BYTES { Err(AppendError::TooLarge { size, limit: MAX_BYTES }) } else { Ok(()) }
}

fn check_id(id: Option<&EventId>) -> Result<(), AppendError> {
    match id {
        Some(EventId::Text(text))
            if text.is_empty() || text.len() > EventId::MAX_LEN || text.chars().any(char::is_control) =>
        {
            Err(AppendError::InvalidId(text.chars().take(40).flat_map(char::escape_debug).collect()))
        }
        _ => Ok(()),
    }
}

/// Checks the keys and sizes of state changes.
pub(crate) fn check_state(changes: &[StateChange]) -> Result<(), AppendError> {
    let size = changes.iter().map(|change| change.value.as_ref().map_or(0, |value| value.len())).sum::<usize>();
    if size > MAX_BYTES {
        return Err(AppendError::TooLarge { size, limit: MAX_BYTES });
    }
    let usable = |key: &CompactString| !key.is_empty() && key.len() <= StateChange::MAX_KEY;
    match changes.iter().find(|change| !usable(&change.key)) {
        Some(change) => Err(AppendError::InvalidKey(change.key.chars().take(40).collect())),
        None => Ok(()),
    }
}

/// Milliseconds since 1970 by the machine's clock.
pub(crate) fn wall_clock() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
