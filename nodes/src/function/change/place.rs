//! Where a change node reads and writes: properties of the message, and context.

use compact_str::CompactString;
use serde_json::Value as Json;
use smallvec::SmallVec;
use tidewire_model::value::{Path, Segment};
use tidewire_model::{Message, Problem, Value};
use tidewire_node_api::{ContextScope, Ctx, NodeError};

use crate::shared::context_key::ContextKey;
use crate::shared::typed_input::{Operand, comes_later, config_text, message_path};

/// A property of the message, compiled for writing.
pub(super) struct Target {
    path: Path,
    /// The path's keys, when it has nothing but keys.
    keys: SmallVec<[CompactString; 3]>,
}

/// A property of the message, compiled for reading.
pub(super) struct Source {
    path: Path,
    /// What must exist for the property to be readable at all.
    parent: Option<Path>,
}

/// Where a new value comes from.
pub(super) enum From {
    Source(Source),
    Operand(Operand),
}

/// What is changed: it can be read, set and removed.
pub(super) enum Place {
    Message(Target, Source),
    Context(ContextKey),
}

impl Target {
    fn parse(text: &str, at: &str) -> Result<Target, Problem> {
        let path = message_path(text, at)?;
        let keys: Option<_> = path
            .segments()
            .iter()
            .map(|segment| match segment {
                Segment::Key(key) => Some(key.clone()),
                _ => None,
            })
            .collect();
        Ok(Target { keys: keys.unwrap_or_default(), path })
    }

    /// The value as it is now.
    pub(super) fn current<'m>(&self, message: &'m Message) -> Option<&'m Value> {
        message.get_path(&self.path)
    }

    /// Sets the property; false where something on the way is no object.
    fn set(&self, message: &mut Message, value: Value) -> bool {
        if value.is_undefined() {
            return message.set_path(&self.path, value, true);
        }
        match self.keys.as_slice() {
            [] => message.set_path(&self.path, value, true),
            [key] => {
                message.set(key, value);
                true
            }
            // In place, without any copy, where everything on the way is there.
            [first, middle @ .., last] => {
                let mut here = message.body_mut().get_mut(first).and_then(Value::as_object_mut);
                for key in middle {
                    here = here.and_then(|map| map.get_mut(key)).and_then(Value::as_object_mut);
                }
                match here {
                    Some(map) => {
                        map.insert(last.as_str(), value);
                        true
                    }
                    None => message.set_path(&self.path, value, true),
                }
            }
        }
    }
}

impl Source {
    fn parse(text: &str, at: &str) -> Result<Source, Problem> {
        let path = message_path(text, at)?;
        let parent = path.segments().split_last().map_or(&[] as &[Segment], |(_, parents)| parents);
        let text = text.strip_prefix("msg.").unwrap_or(text);
        let parent = (1..text.len())
            .rev()
            .filter_map(|end| Path::parse(text.get(..end)?).ok())
            .find(|prefix| prefix.segments() == parent);
        Ok(Source { path, parent })
    }

    /// The value, undefined if only the last step is missing; `None` if its parent is.
    fn read(&self, message: &Message) -> Option<Value> {
        if let Some(value) = message.get_path(&self.path) {
            return Some(value.clone());
        }
        match &self.parent {
            None => Some(Value::Undefined),
            Some(parent) => message.get_path(parent).filter(|value| !value.is_nullish()).map(|_| Value::Undefined),
        }
    }
}

impl From {
    /// # Errors
    /// The value does not fit its kind.
    pub(super) fn parse(value: &Json, kind: &str, at: &str) -> Result<From, Problem> {
        match kind {
            "msg" => Source::parse(&config_text(value), at).map(From::Source),
            kind => Operand::compile(value, kind, at).map(From::Operand),
        }
    }

    pub(super) fn start(&mut self, ctx: &Ctx<'_>) {
        if let From::Operand(operand) = self {
            operand.start(ctx);
        }
    }

    /// The value; `None` when what it stands in is missing.
    pub(super) fn read(&self, message: &Message, ctx: &Ctx<'_>) -> Option<Value> {
        match self {
            From::Operand(Operand::Const(value)) => Some(value.clone()),
            From::Operand(operand) => Some(operand.value(message, ctx.now_ms()).into_owned()),
            From::Source(source) => source.read(message),
        }
    }
}

impl Place {
    /// Parses a property of kind `msg`, `flow` or `global`; nothing means `msg`.
    ///
    /// # Errors
    /// The property is no path, or of another kind.
    pub(super) fn parse(text: &str, kind: Option<&str>, at: &str) -> Result<Place, Problem> {
        match kind {
            None | Some("" | "msg") => Ok(Place::Message(Target::parse(text, at)?, Source::parse(text, at)?)),
            Some("flow") => ContextKey::parse(ContextScope::Flow, text, at).map(Place::Context),
            Some("global") => ContextKey::parse(ContextScope::Global, text, at).map(Place::Context),
            Some(other) => Err(comes_later(other, at)),
        }
    }

    pub(super) fn start(&mut self, ctx: &Ctx<'_>) {
        if let Place::Context(key) = self {
            key.start(ctx);
        }
    }

    pub(super) fn is_context(&self) -> bool {
        matches!(self, Place::Context(_))
    }

    /// The value, undefined if there is none; `None` if what it stands in is missing.
    pub(super) fn read(&self, message: &Message) -> Option<Value> {
        match self {
            Place::Message(_, source) => source.read(message),
            Place::Context(key) => Some(key.get(message)),
        }
    }

    /// Sets the value; undefined removes it.
    ///
    /// # Errors
    /// The context does not take it.
    pub(super) fn set(&self, message: &mut Message, value: Value, ctx: &Ctx<'_>) -> Result<(), NodeError> {
        match self {
            Place::Message(target, _) => {
                if !target.set(message, value) {
                    ctx.warn(format!("Cannot set property of non-object type: {}", target.path));
                }
                Ok(())
            }
            Place::Context(key) => key.set(message, value).map_err(|error| NodeError::new(error.to_string())),
        }
    }

    /// Removes the value, if there is one.
    ///
    /// # Errors
    /// The context does not let go of it.
    pub(super) fn remove(&self, message: &mut Message) -> Result<(), NodeError> {
        match self {
            Place::Message(target, _) => {
                target.path.remove(message.body_mut());
                Ok(())
            }
            Place::Context(key) => {
                key.set(message, Value::Undefined).map_err(|error| NodeError::new(error.to_string()))
            }
        }
    }
}
