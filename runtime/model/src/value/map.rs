//! Objects: keys in JavaScript's order (integer-like keys ascending, then insertion order).

use compact_str::CompactString;

use super::Value;

/// An object's properties. Searched linearly: messages and payloads have few keys, and that beats hashing there.
/// An index is built lazily for none; objects with thousands of keys are legal but slower.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Map {
    entries: Vec<(CompactString, Value)>,
    /// Number of leading entries whose keys are array indexes.
    indexed: usize,
}

impl Map {
    pub fn new() -> Self {
        Map::default()
    }

    pub fn with_capacity(capacity: usize) -> Self {
        Map { entries: Vec::with_capacity(capacity), indexed: 0 }
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn position(&self, key: &str) -> Option<usize> {
        self.entries.iter().position(|(k, _)| k == key)
    }

    pub fn get(&self, key: &str) -> Option<&Value> {
        self.entries.iter().find(|(k, _)| k == key).map(|(_, value)| value)
    }

    pub fn get_mut(&mut self, key: &str) -> Option<&mut Value> {
        self.entries.iter_mut().find(|(k, _)| k == key).map(|(_, value)| value)
    }

    pub fn contains_key(&self, key: &str) -> bool {
        self.position(key).is_some()
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
        let index = match self.position(key) {
            Some(index) => index,
            None => self.add_at(CompactString::new(key), Value::Undefined),
        };
        match self.entries.get_mut(index) {
            Some((_, value)) => value,
            None => unreachable!("the position was just found or made"),
        }
    }

    pub fn remove(&mut self, key: &str) -> Option<Value> {
        let index = self.position(key)?;
        if index < self.indexed {
            self.indexed -= 1;
        }
        Some(self.entries.remove(index).1)
    }

    fn add(&mut self, key: CompactString, value: Value) {
        self.add_at(key, value);
    }

    fn add_at(&mut self, key: CompactString, value: Value) -> usize {
        let Some(number) = array_index(&key) else {
            self.entries.push((key, value));
            return self.entries.len() - 1;
        };
        let leading = self.entries.get(..self.indexed).unwrap_or_default();
        let at = leading.partition_point(|(k, _)| array_index(k).is_some_and(|n| n < number));
        self.entries.insert(at, (key, value));
        self.indexed += 1;
        at
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.entries.iter().map(|(key, value)| (key.as_str(), value))
    }

    pub fn keys(&self) -> impl ExactSizeIterator<Item = &str> {
        self.entries.iter().map(|(key, _)| key.as_str())
    }

    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut Value> {
        self.entries.iter_mut().map(|(_, value)| value)
    }
}

impl IntoIterator for Map {
    type Item = (CompactString, Value);
    type IntoIter = std::vec::IntoIter<(CompactString, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
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
}
