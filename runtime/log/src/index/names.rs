//! Offsets under names. Neighbours often have the same name, which is then not looked up again.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::Hash;

/// A list of offsets for each name.
#[derive(Debug, Clone)]
pub(super) struct Names<K> {
    places: HashMap<K, usize, foldhash::fast::RandomState>,
    lists: Vec<(K, Vec<u16>)>,
    /// The place of the name that came last.
    last: usize,
}

impl<K> Default for Names<K> {
    fn default() -> Self {
        Self { places: HashMap::default(), lists: Vec::new(), last: 0 }
    }
}

impl<K: Clone + Eq + Hash + Borrow<str>> Names<K> {
    /// Adds an offset under a name, which is made only if it is new.
    pub(super) fn note(&mut self, name: &str, make: impl FnOnce() -> K, offset: u16) {
        if let Some((last, offsets)) = self.lists.get_mut(self.last)
            && (*last).borrow() == name
        {
            return offsets.push(offset);
        }
        if let Some(place) = self.places.get(name) {
            self.last = *place;
            if let Some((_, offsets)) = self.lists.get_mut(*place) {
                offsets.push(offset);
            }
            return;
        }
        let key = make();
        self.last = self.lists.len();
        self.places.insert(key.clone(), self.last);
        self.lists.push((key, vec![offset]));
    }

    /// The offsets under a name.
    pub(super) fn get(&self, name: &str) -> Option<&Vec<u16>> {
        self.places.get(name).and_then(|place| self.lists.get(*place)).map(|(_, offsets)| offsets)
    }

    /// The names.
    pub(super) fn keys(&self) -> impl Iterator<Item = &K> {
        self.lists.iter().map(|(name, _)| name)
    }

    /// The names with their offsets.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &Vec<u16>)> {
        self.lists.iter().map(|(name, offsets)| (name, offsets))
    }

    /// In order of name, so that the store is written in one run.
    pub(super) fn by_name(&self) -> Vec<(&K, &Vec<u16>)>
    where
        K: Ord,
    {
        let mut entries: Vec<_> = self.iter().collect();
        entries.sort_unstable();
        entries
    }
}
