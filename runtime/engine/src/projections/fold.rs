//! Folding events into entries: state in memory up to a bound, and what the next commit has to write.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tidewire_log::LogError;
use tidewire_model::Value;
use tidewire_model::event::Event;
use tidewire_model::position::Position;
use tidewire_node_api::cell::{Cell, Whole};
use tidewire_node_api::handles::{Entry, Reducer};

use super::codec::{encode, same};
use super::shelf::{KEY_MAX, Shelf, Step, Totals};
use super::status::Parked;

/// Bound of one read model's state in memory, in bytes. Two generations of half this size.
const HOT_BYTES_MAX: usize = 16 << 20;
/// A commit is due when so many keys wait for it: it goes to the store as one batch.
const DIRTY_KEYS_MAX: usize = 4_096;
/// A commit is due after so many events, however few keys they touch.
const EVENTS_MAX: u64 = 200_000;
/// Parked events whose reason is kept; further ones are only counted.
const PARKED_MAX: u64 = 1_000;

type Hot = HashMap<String, Slot, foldhash::fast::RandomState>;

struct Slot {
    cell: Box<dyn Cell>,
    position: Position,
    time: i64,
    /// Whether the store has such an entry.
    stored: bool,
    dirty: bool,
    weight: usize,
}

/// One build as it is being folded.
pub(super) struct Fold {
    reducer: Arc<dyn Reducer>,
    shelf: Shelf,
    place: String,
    hot: Hot,
    hot_bytes: usize,
    /// The older generation; nothing in it is dirty.
    older: Hot,
    dirty: Vec<String>,
    events: u64,
    totals: Totals,
    parked: Vec<(Position, Option<Parked>)>,
    /// The build whose marks on parked events are taken over.
    marks: Option<String>,
    told: Vec<Entry>,
    /// Nothing is in the store but what is at hand.
    fresh: bool,
}

/// Runs a function that came from outside, taking a panic as its refusal.
pub(super) fn guarded<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| {
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        format!("panicked: {}", text.unwrap_or("no reason given"))
    })
}

impl Fold {
    pub(super) fn open(shelf: Shelf, place: String, reducer: Arc<dyn Reducer>) -> Result<Self, LogError> {
        let totals = shelf.totals(&place)?;
        let fresh = shelf.checkpoint(&place)? == Position::ZERO && totals == Totals::default();
        Ok(Fold {
            reducer,
            shelf,
            place,
            hot: Hot::default(),
            hot_bytes: 0,
            older: Hot::default(),
            dirty: Vec::new(),
            events: 0,
            totals,
            parked: Vec::new(),
            marks: None,
            told: Vec::new(),
            fresh,
        })
    }

    pub(super) fn place(&self) -> &str {
        &self.place
    }

    pub(super) fn totals(&self) -> Totals {
        self.totals
    }

    /// Whether there is anything to commit.
    pub(super) fn is_dirty(&self) -> bool {
        !self.dirty.is_empty() || !self.parked.is_empty()
    }

    /// Whether a commit is due even though more events wait.
    pub(super) fn is_full(&self) -> bool {
        self.dirty.len() >= DIRTY_KEYS_MAX || self.events >= EVENTS_MAX || self.hot_bytes > HOT_BYTES_MAX
    }

    /// Applies one event. `tell` says that a change is to be told of.
    ///
    /// # Errors
    /// When the store cannot be read; an event that the reducer refuses is parked instead.
    pub(super) fn event(&mut self, reducer: &Arc<dyn Reducer>, event: &Event, tell: bool) -> Result<(), LogError> {
        self.events += 1;
        match self.try_event(reducer, event, tell)? {
            Ok(()) => Ok(()),
            Err(reason) => self.park(event, reason),
        }
    }

    /// As [`Fold::event`], but an event that the reducer refuses answers its reason.
    fn try_event(
        &mut self,
        reducer: &Arc<dyn Reducer>,
        event: &Event,
        tell: bool,
    ) -> Result<Result<(), String>, LogError> {
        let mut failed = None;
        let result = guarded(|| {
            reducer.each(event, &mut |key, input| match self.take(key, input, event, tell) {
                Ok(result) => result,
                Err(error) => {
                    failed = Some(error);
                    Err(String::new())
                }
            })
        });
        match failed {
            Some(error) => Err(error),
            None => Ok(result.and_then(|result| result)),
        }
    }

    fn take(&mut self, key: &str, input: Value, event: &Event, tell: bool) -> Result<Result<(), String>, LogError> {
        // The key is nearly always at hand: it is looked up once then.
        if let Some(slot) = self.hot.get_mut(key) {
            return Ok(Changes { totals: &mut self.totals, told: &mut self.told, dirty: &mut self.dirty }
                .apply(slot, key, input, event, tell));
        }
        if key.len() > KEY_MAX {
            return Ok(Err(format!("the key has {} bytes; {KEY_MAX} are allowed", key.len())));
        }
        self.load(key)?;
        let Some(slot) = self.hot.get_mut(key) else { return Ok(Ok(())) };
        Ok(Changes { totals: &mut self.totals, told: &mut self.told, dirty: &mut self.dirty }
            .apply(slot, key, input, event, tell))
    }

    fn load(&mut self, key: &str) -> Result<(), LogError> {
        let slot = match self.older.remove(key) {
            Some(slot) => slot,
            None => {
                let stored = if self.fresh { None } else { self.shelf.entry(&self.place, key)? };
                let known = stored.as_ref().map(|stored| (stored.position, stored.time));
                let (position, time) = known.unwrap_or((Position::ZERO, 0));
                let state = stored.map_or(Value::Undefined, |stored| stored.state);
                let cell = open(&self.reducer, key, state);
                let weight = weight(key, &*cell);
                Slot { cell, position, time, stored: known.is_some(), dirty: false, weight }
            }
        };
        self.hot_bytes += slot.weight;
        self.hot.insert(key.to_owned(), slot);
        Ok(())
    }

    /// Events that are skipped in this build stay skipped.
    pub(super) fn with_marks_of(mut self, place: Option<String>) -> Self {
        self.marks = place;
        self
    }

    fn park(&mut self, event: &Event, reason: String) -> Result<(), LogError> {
        let before = match &self.marks {
            Some(place) => self.shelf.parked_at(place, event.position)?,
            None => None,
        };
        let skipped = before.and_then(|before| before.skipped);
        if skipped.is_none() {
            tracing::warn!(projection = self.place, position = event.position.get(), reason, "event parked");
            self.totals.parked += 1;
        }
        if self.totals.parked <= PARKED_MAX {
            let event_id = event.id.to_string();
            self.parked
                .push((event.position, Some(Parked { position: event.position, event: event_id, reason, skipped })));
        }
        Ok(())
    }

    /// Tries a parked event again; its record goes if it takes effect now.
    pub(super) fn retry(&mut self, event: &Event) -> Result<Result<(), String>, LogError> {
        let reducer = Arc::clone(&self.reducer);
        let result = self.try_event(&reducer, event, true)?;
        if result.is_ok() {
            self.parked.push((event.position, None));
            self.totals.parked = self.totals.parked.saturating_sub(1);
        }
        Ok(result)
    }

    /// Removes keys that are too old from a page of those that are stored.
    pub(super) fn expire(&mut self, keys: &[String], now: i64) -> Result<(), LogError> {
        for key in keys {
            if !guarded(|| self.reducer.is_expired(key, now)).unwrap_or(false) {
                continue;
            }
            if !self.hot.contains_key(key) {
                self.load(key)?;
            }
            if let Some(slot) = self.hot.get_mut(key)
                && slot.cell.exists()
            {
                slot.cell = open(&self.reducer, key, Value::Undefined);
                self.totals.keys = self.totals.keys.saturating_sub(1);
                if !slot.dirty {
                    slot.dirty = true;
                    self.dirty.push(key.clone());
                }
            }
        }
        Ok(())
    }

    /// Writes a mark on a parked event.
    pub(super) fn skip(&mut self, parked: Parked) {
        self.totals.parked = self.totals.parked.saturating_sub(1);
        self.parked.push((parked.position, Some(parked)));
    }

    /// What is to be committed now. Everything counts as committed from here on: if the commit fails, this fold is
    /// given up and a new one starts from what is stored.
    pub(super) fn step(&mut self) -> Step {
        self.events = 0;
        let mut entries = Vec::with_capacity(self.dirty.len());
        for key in self.dirty.drain(..) {
            let Some(slot) = self.hot.get_mut(&key) else { continue };
            slot.dirty = false;
            let new_weight = weight(&key, &*slot.cell);
            self.hot_bytes = (self.hot_bytes + new_weight).saturating_sub(slot.weight);
            slot.weight = new_weight;
            if !slot.cell.exists() {
                if std::mem::replace(&mut slot.stored, false) {
                    entries.push((key, None));
                }
                continue;
            }
            slot.stored = true;
            let (state, shown) = (slot.cell.state(), shown(&*slot.cell));
            let shown = (!same(&shown, &state)).then_some(shown);
            entries.push((key, Some(encode(&state, shown.as_ref(), slot.position, slot.time))));
        }
        if self.hot_bytes > HOT_BYTES_MAX / 2 {
            self.older = std::mem::take(&mut self.hot);
            self.hot_bytes = 0;
            // From here on a key may be in the store only.
            self.fresh = false;
        }
        Step { entries, parked: std::mem::take(&mut self.parked), totals: self.totals }
    }

    /// What is to be told once the step is stored.
    pub(super) fn take_told(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.told)
    }
}

/// What a changed key changes beside itself.
struct Changes<'f> {
    totals: &'f mut Totals,
    told: &'f mut Vec<Entry>,
    dirty: &'f mut Vec<String>,
}

impl Changes<'_> {
    fn apply(self, slot: &mut Slot, key: &str, input: Value, event: &Event, tell: bool) -> Result<(), String> {
        let existed = slot.cell.exists();
        let before = tell.then(|| shown(&*slot.cell));
        slot.cell.apply(input, event)?;
        if !slot.cell.changed() {
            return Ok(());
        }
        match (existed, slot.cell.exists()) {
            (false, false) => return Ok(()),
            (false, true) => self.totals.keys += 1,
            (true, false) => self.totals.keys = self.totals.keys.saturating_sub(1),
            (true, true) => {}
        }
        if let Some(before) = before {
            let value = shown(&*slot.cell);
            if !same(&before, &value) {
                self.told.push(Entry { key: key.to_owned(), value, position: event.position, time: event.time });
            }
        }
        slot.position = event.position;
        slot.time = event.time;
        if !slot.dirty {
            slot.dirty = true;
            self.dirty.push(key.to_owned());
        }
        Ok(())
    }
}

fn weight(key: &str, cell: &dyn Cell) -> usize {
    key.len() + cell.weight() + 128
}

/// The state of a key as its reducer wants it.
pub(super) fn open(reducer: &Arc<dyn Reducer>, key: &str, state: Value) -> Box<dyn Cell> {
    match guarded(|| reducer.open(key, &state)) {
        Ok(Some(cell)) => cell,
        _ => Box::new(Whole::new(Arc::clone(reducer), state)),
    }
}

/// What readers see of a key.
pub(super) fn shown(cell: &dyn Cell) -> Value {
    guarded(|| cell.shown()).unwrap_or_else(Value::from)
}
