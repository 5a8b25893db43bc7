//! Context: named values that nodes share, in three scopes and several stores.

use compact_str::{CompactString, format_compact};
use tidewire_model::value::{Path, Segment};
use tidewire_model::{Map, Value};

/// Who shares a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ContextScope {
    /// The node alone.
    Node,
    /// All nodes of its flow, or of its subflow instance.
    Flow,
    /// All nodes.
    Global,
}

/// A store could not do what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContextError {
    /// In Node-RED's words: no path, or an empty one.
    #[error("Invalid context key")]
    InvalidKey,
    #[error("cannot set a property of \"{0}\", which is no object")]
    NoObject(String),
    #[error("the context store is full: {0}")]
    Full(String),
}

/// The context as one node sees it. Keys are property paths (`a.b[0]`); dots lead into values. `store` is the name of a
/// store; `None`, or a name that is not known, is the default store. Reading never waits; writing is durable soon after,
/// in stores that are.
pub trait Context: Send + Sync {
    /// The value, undefined if there is none. `$parent.key` in flow scope is that of the flow around a subflow.
    ///
    /// # Errors
    /// The key is no property path.
    fn get(&self, scope: ContextScope, store: Option<&str>, key: &str) -> Result<Value, ContextError>;

    /// Sets a value; undefined removes it. Missing parents come into being.
    ///
    /// # Errors
    /// The key is no property path, or leads below something that is no object.
    fn set(&self, scope: ContextScope, store: Option<&str>, key: &str, value: Value) -> Result<(), ContextError>;

    /// The names on the first level.
    fn keys(&self, scope: ContextScope, store: Option<&str>) -> Vec<String>;
}

/// The values of one scope in one store.
#[derive(Debug, Clone, Default)]
pub struct ContextValues(Map);

impl ContextValues {
    /// From the values by name.
    pub fn new(values: Map) -> Self {
        ContextValues(values)
    }

    /// A key as a path, and the name on the first level that it leads to or into.
    ///
    /// # Errors
    /// The key is no property path.
    pub fn path(key: &str) -> Result<(Path, CompactString), ContextError> {
        let path = Path::parse(key).map_err(|_| ContextError::InvalidKey)?;
        let name = match path.segments().first() {
            Some(Segment::Key(name)) => name.clone(),
            Some(Segment::Index(number)) => format_compact!("{number}"),
            _ => return Err(ContextError::InvalidKey),
        };
        Ok((path, name))
    }

    /// See [`Context::get`].
    ///
    /// # Errors
    /// The key is no property path.
    pub fn get(&self, key: &str) -> Result<Value, ContextError> {
        Ok(Self::path(key)?.0.get(&self.0).cloned().unwrap_or(Value::Undefined))
    }

    /// Sets a value and gives the name on the first level that it changed; see [`Context::set`].
    ///
    /// # Errors
    /// The key is no property path, or leads below something that is no object.
    pub fn set(&mut self, key: &str, value: Value) -> Result<CompactString, ContextError> {
        let (path, name) = Self::path(key)?;
        self.set_at(&path, &name, value).map(|()| name)
    }

    /// Sets the value at what [`ContextValues::path`] gave.
    ///
    /// # Errors
    /// The path leads below something that is no object.
    pub fn set_at(&mut self, path: &Path, name: &str, value: Value) -> Result<(), ContextError> {
        if value.is_undefined() {
            path.remove(&mut self.0);
        } else if !path.set(&mut self.0, value, true) {
            return Err(ContextError::NoObject(name.into()));
        }
        Ok(())
    }

    /// See [`Context::keys`].
    pub fn keys(&self) -> Vec<String> {
        self.0.iter().map(|(key, _)| key.to_string()).collect()
    }

    /// The values by name.
    pub fn map(&self) -> &Map {
        &self.0
    }
}

/// A key as flows write it, `#:(store)::key`, or just the key.
pub fn parse_key(text: &str) -> (Option<&str>, &str) {
    let named = text.strip_prefix("#:(").and_then(|rest| rest.split_once(")::"));
    named.map_or((None, text), |(store, key)| (Some(store), key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_lead_into_values() {
        let mut values = ContextValues::default();
        assert_eq!(values.set("a.b", Value::from(1)).as_deref(), Ok("a"));
        assert_eq!(values.get("a.b"), Ok(Value::from(1)));
        assert_eq!(values.set("a.b.c", Value::from(2)), Err(ContextError::NoObject("a".into())));
        assert_eq!(values.set("", Value::from(2)), Err(ContextError::InvalidKey));
        assert_eq!(values.set("a", Value::Undefined).as_deref(), Ok("a"));
        assert_eq!(values.keys(), Vec::<String>::new());
        assert_eq!(values.set("42", Value::from(3)).as_deref(), Ok("42"));
        assert_eq!(values.get("42"), Ok(Value::from(3)));
    }

    #[test]
    fn the_store_stands_before_the_key() {
        assert_eq!(parse_key("#:(memory)::a.b"), (Some("memory"), "a.b"));
        assert_eq!(parse_key("a.b"), (None, "a.b"));
    }
}
