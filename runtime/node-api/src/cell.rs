//! The state of one key of a read model while events are folded into it: kept in memory, changed in place.

use std::sync::Arc;

use tidewire_model::Value;
use tidewire_model::event::Event;

use crate::handles::Reducer;

/// Takes what an event brings to a key.
///
/// # Errors
/// Why it could not be applied; the key is as it was.
pub type Take<'t> = dyn FnMut(&str, Value) -> Result<(), String> + 't;

/// The state of one key. Pure: the same events in the same order give the same state.
pub trait Cell: Send {
    /// Applies what an event brings.
    ///
    /// # Errors
    /// The event is parked with this reason. Invariant: the state is as it was before, also after a panic.
    fn apply(&mut self, input: Value, event: &Event) -> Result<(), String>;

    /// Whether what was applied last has changed anything that is stored or shown.
    fn changed(&self) -> bool {
        true
    }

    /// What is stored; undefined when there is no such key.
    fn state(&self) -> Value;

    /// What readers see; undefined when there is no such key.
    fn shown(&self) -> Value;

    /// Whether there is such a key.
    fn exists(&self) -> bool {
        true
    }

    /// About how many bytes of memory it takes.
    fn weight(&self) -> usize;
}

/// The largest state of a key, in bytes: a runaway script must not fill memory and disk.
pub const STATE_MAX: usize = 1 << 20;

/// A state that a reducer replaces as a whole.
pub struct Whole {
    reducer: Arc<dyn Reducer>,
    state: Value,
}

impl Whole {
    /// From what is stored; undefined when there is nothing.
    pub fn new(reducer: Arc<dyn Reducer>, state: Value) -> Self {
        Whole { reducer, state }
    }
}

impl Cell for Whole {
    fn apply(&mut self, _input: Value, event: &Event) -> Result<(), String> {
        let before = (!self.state.is_undefined()).then_some(&self.state);
        let after = self.reducer.apply(before, event)?;
        let weight = after.weight_of(64);
        if weight > STATE_MAX {
            return Err(format!("the state of this key would take {weight} bytes; {STATE_MAX} are allowed"));
        }
        self.state = after;
        Ok(())
    }

    fn state(&self) -> Value {
        self.state.clone()
    }

    fn shown(&self) -> Value {
        if self.state.is_undefined() { Value::Undefined } else { self.reducer.present(&self.state) }
    }

    fn exists(&self) -> bool {
        !self.state.is_undefined()
    }

    fn weight(&self) -> usize {
        self.state.weight()
    }
}
