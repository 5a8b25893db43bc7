//! Keys of flow and global context in typed inputs: `a.b`, `a[msg.topic]`, `#:(store)::a.b`.

use std::fmt::{self, Write};
use std::sync::Arc;

use compact_str::CompactString;
use tidewire_model::value::{Path, Segment};
use tidewire_model::{Message, Problem, Value};
use tidewire_node_api::context::parse_key;
use tidewire_node_api::{Context, ContextError, ContextScope, Ctx};

/// A value that nodes share: scope, store and key, compiled. Before [`ContextKey::start`] nothing is there.
#[derive(Clone)]
pub(crate) struct ContextKey {
    scope: ContextScope,
    store: Option<CompactString>,
    key: Key,
    context: Option<Arc<dyn Context>>,
}

#[derive(Debug, Clone)]
enum Key {
    Fixed(String),
    /// Holds steps that each message decides.
    Nested(Path),
}

impl fmt::Debug for ContextKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContextKey").field("scope", &self.scope).field("key", &self.key).finish_non_exhaustive()
    }
}

impl ContextKey {
    /// Parses a key as flows write it.
    ///
    /// # Errors
    /// The key is no property path: a problem at `at`.
    pub(crate) fn parse(scope: ContextScope, text: &str, at: &str) -> Result<ContextKey, Problem> {
        let (store, key) = parse_key(text.trim());
        let path = Path::parse(key).map_err(|error| Problem::error(at, error.to_string()))?;
        let nested = path.segments().iter().any(|segment| matches!(segment, Segment::Nested(_)));
        let key = if nested { Key::Nested(path) } else { Key::Fixed(key.to_owned()) };
        Ok(ContextKey { scope, store: store.map(CompactString::from), key, context: None })
    }

    /// Called when the node starts.
    pub(crate) fn start(&mut self, ctx: &Ctx<'_>) {
        self.context = Some(ctx.context());
    }

    /// The value for this message; undefined where there is none.
    pub(crate) fn get(&self, message: &Message) -> Value {
        self.with(message, |context, store, key| context.get(self.scope, store, key))
            .and_then(Result::ok)
            .unwrap_or(Value::Undefined)
    }

    /// Sets the value; undefined removes it. Nothing is set where a step that the message decides is missing.
    ///
    /// # Errors
    /// The store cannot take it.
    pub(crate) fn set(&self, message: &Message, value: Value) -> Result<(), ContextError> {
        self.with(message, |context, store, key| context.set(self.scope, store, key, value)).unwrap_or(Ok(()))
    }

    fn with<T>(&self, message: &Message, run: impl FnOnce(&dyn Context, Option<&str>, &str) -> T) -> Option<T> {
        let context = self.context.as_deref()?;
        let store = self.store.as_deref();
        match &self.key {
            Key::Fixed(key) => Some(run(context, store, key)),
            Key::Nested(path) => Some(run(context, store, &decided(path, message)?)),
        }
    }
}

/// The key for this message: what it decides is filled in.
fn decided(path: &Path, message: &Message) -> Option<String> {
    let mut key = String::new();
    for segment in path.segments() {
        match segment {
            Segment::Key(name) => push_name(&mut key, name),
            Segment::Index(index) => push_index(&mut key, *index),
            Segment::Nested(inner) => {
                let value = message.get_path(inner).filter(|value| !value.is_nullish())?;
                match value.as_i64().and_then(|index| usize::try_from(index).ok()) {
                    Some(index) => push_index(&mut key, index),
                    None => push_name(&mut key, &value.to_text()),
                }
            }
        }
    }
    Some(key)
}

fn push_name(key: &mut String, name: &str) {
    key.push_str("[\"");
    for c in name.chars() {
        if matches!(c, '"' | '\\') {
            key.push('\\');
        }
        key.push(c);
    }
    key.push_str("\"]");
}

fn push_index(key: &mut String, index: usize) {
    // Writing into a string cannot fail.
    let _ = write!(key, "[{index}]");
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn key(text: &str, topic: Value) -> Option<String> {
        let mut message = Message::with_payload(1, 1);
        message.set("topic", topic);
        match ContextKey::parse(ContextScope::Flow, text, "/v").unwrap().key {
            Key::Fixed(key) => Some(key),
            Key::Nested(path) => decided(&path, &message),
        }
    }

    #[test]
    fn the_message_may_decide_steps_of_a_key() {
        assert_eq!(key("a.b", Value::Undefined).unwrap(), "a.b");
        assert_eq!(key("a[msg.topic].c", Value::from("say \"b\"")).unwrap(), r#"["a"]["say \"b\""]["c"]"#);
        assert_eq!(key("a[msg.topic]", Value::from(2)).unwrap(), r#"["a"][2]"#);
        assert_eq!(key("a[msg.topic]", Value::Undefined), None);
    }

    #[test]
    fn the_store_stands_before_the_key_and_a_broken_key_is_a_problem() {
        let parsed = ContextKey::parse(ContextScope::Global, "#:(memory)::a.b", "/v").unwrap();
        assert_eq!(parsed.store.as_deref(), Some("memory"));
        assert_eq!(
            ContextKey::parse(ContextScope::Global, "#:(memory)::", "/rules/0/p").unwrap_err().path,
            "/rules/0/p"
        );
    }
}
