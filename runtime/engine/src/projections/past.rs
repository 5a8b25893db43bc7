//! A read model as it was: its events folded again, up to a moment, from the nearest snapshot on.

use std::collections::BTreeMap;
use std::sync::Arc;

use tidewire_log::{EventLog, LogError};
use tidewire_model::Value;
use tidewire_model::event::Event;
use tidewire_model::position::Position;
use tidewire_model::query::Query;
use tidewire_node_api::cell::Cell;
use tidewire_node_api::handles::{At, Entry, HandleError, ProjectionSpec, Reducer};

use super::codec::Stored;
use super::fold::{guarded, open, shown};
use super::handle_error;
use super::retained;
use super::service::StartAt;
use super::shelf::Shelf;

/// Events read at a time: bounds the memory that a question takes, however long the history is.
const PAGE: usize = 1_000;
/// Events that are folded again for one look at a whole read model.
const EVENTS_MAX: u64 = 1_000_000;
/// Entries of a whole read model in the past.
const KEYS_MAX: usize = 200_000;

/// The last position that had been recorded at a moment.
pub(super) async fn position_at(log: &dyn EventLog, at: At) -> Result<Position, LogError> {
    match at {
        At::Position(position) => Ok(position.min(log.head())),
        At::Time(time) => Ok(log.position_at_time(time.saturating_add(1)).await?.previous()),
    }
}

/// Keys while they are folded again.
pub(super) type Entries = BTreeMap<String, Again>;

/// A key while it is folded again.
pub(super) struct Again {
    cell: Box<dyn Cell>,
    position: Position,
    time: i64,
}

impl Again {
    fn open(reducer: &Arc<dyn Reducer>, key: &str, stored: Option<Stored>) -> Again {
        let (position, time) = stored.as_ref().map_or((Position::ZERO, 0), |stored| (stored.position, stored.time));
        let state = stored.map_or(Value::Undefined, |stored| stored.state);
        Again { cell: open(reducer, key, state), position, time }
    }

    fn apply(&mut self, input: Value, event: &Event) -> Result<(), String> {
        let existed = self.cell.exists();
        self.cell.apply(input, event)?;
        if existed || self.cell.exists() {
            (self.position, self.time) = (event.position, event.time);
        }
        Ok(())
    }

    fn entry(&self, key: &str) -> Option<Entry> {
        let exists = self.cell.exists();
        exists.then(|| Entry {
            key: key.to_owned(),
            value: shown(&*self.cell),
            position: self.position,
            time: self.time,
        })
    }
}

impl StartAt {
    fn position(&self) -> Position {
        match self {
            Self::Beginning => Position::ZERO,
            Self::Stored(snapshot) => snapshot.position,
            Self::File(_, file) => file.position,
        }
    }

    /// Hands every entry to `each`, in order of key.
    fn read(
        &self,
        shelf: &Shelf,
        name: &str,
        each: impl FnMut(&str, Stored) -> Result<(), LogError>,
    ) -> Result<(), LogError> {
        match self {
            Self::Beginning => Ok(()),
            Self::Stored(snapshot) => shelf.read_snapshot(name, snapshot, each),
            Self::File(files, file) => retained::read(files, file, each),
        }
    }

    /// What the snapshot holds of one key, and where it stands.
    pub(super) fn entry(self, shelf: &Shelf, name: &str, key: &str) -> Result<(Position, Option<Stored>), LogError> {
        let mut found = None;
        self.read(shelf, name, |known, stored| {
            if known == key {
                found = Some(stored);
            }
            Ok(())
        })?;
        Ok((self.position(), found))
    }

    /// What the snapshot holds of all keys, and where it stands.
    pub(super) fn entries(self, shelf: &Shelf, spec: &ProjectionSpec) -> Result<(Position, Entries), LogError> {
        let mut keys = Entries::new();
        self.read(shelf, &spec.name, |key, stored| {
            keys.insert(key.to_owned(), Again::open(&spec.reducer, key, Some(stored)));
            Ok(())
        })?;
        Ok((self.position(), keys))
    }
}

/// The entry of a key after the event at `until` had taken effect.
pub(super) async fn entry_at(
    log: &Arc<dyn EventLog>,
    spec: &ProjectionSpec,
    key: &str,
    until: Position,
    (start, stored): (Position, Option<Stored>),
) -> Result<Option<Entry>, LogError> {
    let filter = spec.reducer.narrow(key).unwrap_or_else(|| spec.filter.clone());
    let mut again = Again::open(&spec.reducer, key, stored);
    let mut from = start.next();
    while from <= until {
        let page = log.read(Query::forwards(filter.clone(), from, PAGE)).await?;
        for event in page.events.iter().take_while(|event| event.position <= until) {
            if !spec.filter.matches(event) {
                continue;
            }
            let mut apply = |found: &str, input: Value| if found == key { again.apply(input, event) } else { Ok(()) };
            // What is parked when it happens has no effect in the past either.
            let _ = guarded(|| spec.reducer.each(event, &mut apply));
        }
        let Some(next) = page.next else { break };
        from = next;
        tokio::task::yield_now().await;
    }
    Ok(again.entry(key))
}

/// A whole read model as it was.
pub struct Past {
    pub(super) name: String,
    pub(super) definition: String,
    /// After this event had taken effect.
    pub position: Position,
    /// Where the snapshot stood that it was made from; 0: from the first event.
    pub begun_from: Position,
    /// In order of key.
    pub entries: Vec<Entry>,
}

impl Past {
    pub(super) fn is(&self, name: &str, definition: &str, position: Position) -> bool {
        self.name == name && self.definition == definition && self.position == position
    }
}

/// The whole read model after the event at `until` had taken effect.
pub(super) async fn list_at(
    log: &Arc<dyn EventLog>,
    spec: &ProjectionSpec,
    definition: String,
    until: Position,
    (begun_from, mut keys): (Position, Entries),
) -> Result<Past, HandleError> {
    let failed = |error: LogError| handle_error(&error);
    let (mut from, mut events) = (begun_from.next(), 0);
    while from <= until {
        let page = log.read(Query::forwards(spec.filter.clone(), from, PAGE)).await.map_err(failed)?;
        for event in page.events.iter().take_while(|event| event.position <= until) {
            events += 1;
            let mut apply = |key: &str, input: Value| {
                if let Some(again) = keys.get_mut(key) {
                    return again.apply(input, event);
                }
                let mut again = Again::open(&spec.reducer, key, None);
                again.apply(input, event)?;
                keys.insert(key.to_owned(), again);
                Ok(())
            };
            let _ = guarded(|| spec.reducer.each(event, &mut apply));
        }
        if events > EVENTS_MAX || keys.len() > KEYS_MAX {
            return Err(HandleError::new(format!(
                "that takes too long: more than {EVENTS_MAX} events or {KEYS_MAX} entries lie between the snapshot at \
                 position {begun_from} and position {until}; ask for one key instead"
            )));
        }
        let Some(next) = page.next else { break };
        from = next;
        tokio::task::yield_now().await;
    }
    let entries = keys.iter().filter_map(|(key, again)| again.entry(key)).collect();
    Ok(Past { name: spec.name.clone(), definition, position: until, begun_from, entries })
}
