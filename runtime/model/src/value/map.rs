//! Objects: keys in JavaScript's order (integer-like keys ascending, then insertion order).

use std::collections::{BTreeMap, HashMap};

use compact_str::CompactString;

use super::Value;

/// Keys beyond which names are found by hashing. Below, comparing one after the other is faster.
const HASHED_FROM: usize = 17;

/// An object's properties.
#[derive(Debug, Clone, Default)]
#[allow(clippy::box_collection, reason = "both are rare, and every object pays for the size of this struct")]
pub struct Map {
    /// Names in insertion order.
    named: Vec<(CompactString, Value)>,
    /// Places in `named`, once there are many. Hashed with a key of this process: names may come from an attacker.
    places: Option<Box<HashMap<CompactString, usize>>>,
    /// Properties whose names are array indexes; rare, so they cost a pointer.
    numbered: Option<Box<BTreeMap<u32, (CompactString, Value)>>>,
}

impl Map {
    pub fn new() -> Self {
        Map::default()
    }

    pub fn with_capacity(capacity: usize) -> Self {
        Map { named: Vec::with_capacity(capacity), ..Map::default() }
    }

    pub fn len(&self) -> usize {
        self.named.len() + self.numbered.as_ref().map_or(0, |numbered| numbered.len())
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn place(&self, key: &str) -> Option<usize> {
        match &self.places {
            Some(places) => places.get(key).copied(),
            None => self.named.iter().position(|(name, _)| name == key),
        }
    }

    pub fn get(&self, key: &str) -> Option<&Value> {
        if let Some(number) = array_index(key) {
            return self.numbered.as_ref()?.get(&number).map(|(_, value)| value);
        }
        self.named.get(self.place(key)?).map(|(_, value)| value)
    }

    pub fn get_mut(&mut self, key: &str) -> Option<&mut Value> {
        if let Some(number) = array_index(key) {
            return self.numbered.as_mut()?.get_mut(&number).map(|(_, value)| value);
        }
        let place = self.place(key)?;
        self.named.get_mut(place).map(|(_, value)| value)
    }

    pub fn contains_key(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// Sets a property; an existing key keeps its place.
    pub fn insert(&mut self, key: impl Into<CompactString> + AsRef<str>, value: impl Into<Value>) {
        let value = value.into();
        match self.get_mut(key.as_ref()) {
            Some(old) => *old = value,
            None => self.add(key.into(), value),
        }
    }

    /// The property, created as undefined if it is missing.
    pub fn entry(&mut self, key: &str) -> &mut Value {
        if !self.contains_key(key) {
            self.add(CompactString::new(key), Value::Undefined);
        }
        match self.get_mut(key) {
            Some(value) => value,
            None => unreachable!("the property was just found or made"),
        }
    }

    pub fn remove(&mut self, key: &str) -> Option<Value> {
        if let Some(number) = array_index(key) {
            return self.numbered.as_mut()?.remove(&number).map(|(_, value)| value);
        }
        let place = self.place(key)?;
        let (_, value) = self.named.remove(place);
        if self.places.is_some() {
            self.hash_names();
        }
        Some(value)
    }

    fn add(&mut self, key: CompactString, value: Value) {
        if let Some(number) = array_index(&key) {
            self.numbered.get_or_insert_default().insert(number, (key, value));
            return;
        }
        if let Some(places) = &mut self.places {
            places.insert(key.clone(), self.named.len());
        }
        self.named.push((key, value));
        if self.places.is_none() && self.named.len() >= HASHED_FROM {
            self.hash_names();
        }
    }

    fn hash_names(&mut self) {
        let places = self.named.iter().enumerate().map(|(place, (name, _))| (name.clone(), place));
        self.places = Some(Box::new(places.collect()));
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        let numbered = self.numbered.iter().flat_map(|numbered| numbered.values());
        let named = self.named.iter().map(|(key, value)| (key.as_str(), value));
        numbered.map(|(key, value)| (key.as_str(), value)).chain(named)
    }

    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.iter().map(|(key, _)| key)
    }

    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut Value> {
        let numbered = self.numbered.iter_mut().flat_map(|numbered| numbered.values_mut());
        numbered.map(|(_, value)| value).chain(self.named.iter_mut().map(|(_, value)| value))
    }
}

/// Equal when the same keys have equal values, whatever their order.
impl PartialEq for Map {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().all(|(key, value)| other.get(key) == Some(value))
    }
}

impl IntoIterator for Map {
    type Item = (CompactString, Value);
    type IntoIter = std::vec::IntoIter<(CompactString, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        match self.numbered {
            None => self.named.into_iter(),
            Some(numbered) => {
                let mut all: Vec<_> = numbered.into_values().collect();
                all.extend(self.named);
                all.into_iter()
            }
        }
    }
}

impl<K: Into<CompactString> + AsRef<str>, V: Into<Value>> FromIterator<(K, V)> for Map {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(items: I) -> Self {
        let mut map = Map::new();
        for (key, value) in items {
            map.insert(key, value);
        }
        map
    }
}

/// An array index as ECMAScript defines it: a canonical decimal below 2^32 - 1.
fn array_index(key: &str) -> Option<u32> {
    let first = *key.as_bytes().first()?;
    if !first.is_ascii_digit() || (first == b'0' && key.len() > 1) {
        return None;
    }
    key.parse().ok().filter(|n| *n != u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_in_javascript_order() {
        let map: Map = [("b", 1), ("10", 2), ("a", 3), ("2", 4), ("01", 5)].into_iter().collect();
        assert_eq!(map.keys().collect::<Vec<_>>(), ["2", "10", "b", "a", "01"]);
    }

    #[test]
    fn removing_and_overwriting_keep_the_order() {
        let mut map: Map = [("a", 1), ("1", 2), ("b", 3)].into_iter().collect();
        map.remove("1");
        map.insert("a", 5);
        map.insert("0", 6);
        assert_eq!(map.keys().collect::<Vec<_>>(), ["0", "a", "b"]);
        assert_eq!(map.get("a"), Some(&Value::Int(5)));
    }

    #[test]
    fn many_keys_are_found_and_keep_their_order() {
        let mut map: Map = (0..1_000).map(|n| (format!("key{n}"), n)).collect();
        map.remove("key10");
        map.insert("key999", -1);
        assert_eq!(map.get("key500"), Some(&Value::Int(500)));
        assert_eq!(map.get("key999"), Some(&Value::Int(-1)));
        assert_eq!(map.get("key10"), None);
        assert_eq!(map.keys().nth(10), Some("key11"));
        assert_eq!(map.len(), 999);
    }
}
