//! Events out of blocks.

use std::ops::Bound;
use std::sync::Arc;

use tidewire_model::event::Event;

use crate::LogError;
use crate::block::{block_key, read_block};
use crate::store::{Slice, Space, Store};

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
