//! Folding events into entries: state in memory up to a bound, and what the next commit has to write.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tidewire_log::LogError;
use tidewire_model::Value;
use tidewire_model::event::Event;
use tidewire_model::position::Position;
use tidewire_node_api::handles::{Entry, Reducer};

use super::Parked;
use super::codec::{encode, same};
use super::shelf::{KEY_MAX, Shelf, Step, Totals};

/// Bound of one read model's state in memory, in bytes. Two generations of half this size.
const HOT_BYTES_MAX: usize = 16 << 20;
/// A commit is due when so many keys wait for it: it goes to the store as one batch.
const DIRTY_KEYS_MAX: usize = 4_096;
/// A commit is due after so many events, however few keys they touch.
const EVENTS_MAX: u64 = 50_000;
/// Parked events whose reason is kept; further ones are only counted.
const PARKED_MAX: u64 = 1_000;

type Hot = HashMap<String, Slot, foldhash::fast::RandomState>;

struct Slot {
    /// Undefined: there is no such entry.
    state: Value,
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
    parked: Vec<Parked>,
    told: Vec<Entry>,
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
            told: Vec::new(),
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
    pub(super) fn event(&mut self, event: &Event, tell: bool) -> Result<(), LogError> {
        self.events += 1;
        let key = match guarded(|| self.reducer.key(event)) {
            Ok(Some(key)) if key.len() <= KEY_MAX => key,
            Ok(Some(key)) => {
                self.park(event, format!("the key has {} bytes; {KEY_MAX} are allowed", key.len()));
                return Ok(());
            }
            Ok(None) => return Ok(()),
            Err(reason) => {
                self.park(event, reason);
                return Ok(());
            }
        };
        if !self.hot.contains_key(&key) {
            self.load(&key)?;
        }
        let Some(slot) = self.hot.get_mut(&key) else { return Ok(()) };
        let before = (!slot.state.is_undefined()).then_some(&slot.state);
        let state = match guarded(|| self.reducer.apply(before, event)).and_then(|result| result) {
            Ok(state) => state,
            Err(reason) => {
                self.park(event, reason);
                return Ok(());
            }
        };
        let entry = if tell { told(&*self.reducer, &key, &slot.state, &state, event) } else { None };
        self.told.extend(entry);
        match (slot.state.is_undefined(), state.is_undefined()) {
            (true, true) => return Ok(()),
            (true, false) => self.totals.keys += 1,
            (false, true) => self.totals.keys = self.totals.keys.saturating_sub(1),
            (false, false) => {}
        }
        slot.state = state;
        slot.position = event.position;
        slot.time = event.time;
        if !slot.dirty {
            slot.dirty = true;
            self.dirty.push(key);
        }
        Ok(())
    }

    fn load(&mut self, key: &str) -> Result<(), LogError> {
        let slot = match self.older.remove(key) {
            Some(slot) => slot,
            None => match self.shelf.entry(&self.place, key)? {
                Some(stored) => Slot {
                    weight: weight(key, &stored.state),
                    state: stored.state,
                    position: stored.position,
                    time: stored.time,
                    stored: true,
                    dirty: false,
                },
                None => Slot {
                    state: Value::Undefined,
                    position: Position::ZERO,
                    time: 0,
                    stored: false,
                    dirty: false,
                    weight: weight(key, &Value::Undefined),
                },
            },
        };
        self.hot_bytes += slot.weight;
        self.hot.insert(key.to_owned(), slot);
        Ok(())
    }

    fn park(&mut self, event: &Event, reason: String) {
        tracing::warn!(projection = self.place, position = event.position.get(), reason, "event parked");
        self.totals.parked += 1;
        if self.totals.parked <= PARKED_MAX {
            self.parked.push(Parked { position: event.position, event: event.id.to_string(), reason });
        }
    }

    /// What is to be committed now. Everything counts as committed from here on: if the commit fails, this fold is
    /// given up and a new one starts from what is stored.
    pub(super) fn step(&mut self) -> Step {
        self.events = 0;
        let mut entries = Vec::with_capacity(self.dirty.len());
        for key in self.dirty.drain(..) {
            let Some(slot) = self.hot.get_mut(&key) else { continue };
            slot.dirty = false;
            let new_weight = weight(&key, &slot.state);
            self.hot_bytes = (self.hot_bytes + new_weight).saturating_sub(slot.weight);
            slot.weight = new_weight;
            if slot.state.is_undefined() {
                if std::mem::replace(&mut slot.stored, false) {
                    entries.push((key, None));
                }
                continue;
            }
            slot.stored = true;
            let shown = guarded(|| self.reducer.present(&slot.state)).unwrap_or_else(Value::from);
            let shown = (!same(&shown, &slot.state)).then_some(shown);
            entries.push((key, Some(encode(&slot.state, shown.as_ref(), slot.position, slot.time))));
        }
        if self.hot_bytes > HOT_BYTES_MAX / 2 {
            self.older = std::mem::take(&mut self.hot);
            self.hot_bytes = 0;
        }
        Step { entries, parked: std::mem::take(&mut self.parked), totals: self.totals }
    }

    /// What is to be told once the step is stored.
    pub(super) fn take_told(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.told)
    }
}

fn weight(key: &str, state: &Value) -> usize {
    key.len() + state.weight() + 96
}

/// The change of an entry as readers see it, if they see one.
fn told(reducer: &dyn Reducer, key: &str, before: &Value, after: &Value, event: &Event) -> Option<Entry> {
    let show = |state: &Value| match state {
        Value::Undefined => Value::Undefined,
        state => guarded(|| reducer.present(state)).unwrap_or_else(Value::from),
    };
    let (before, value) = (show(before), show(after));
    let changed = !same(&before, &value);
    changed.then(|| Entry { key: key.to_owned(), value, position: event.position, time: event.time })
}
