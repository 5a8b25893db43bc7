//! Lists and objects as a script sees them: looked into one step at a time, copied only where they are written.

use std::sync::Arc;

use rhai::{Array, Dynamic, Engine, EvalAltResult, INT, ImmutableString, Map as RhaiMap};
use tidewire_model::Value;

use crate::convert::{from_dynamic, to_dynamic};
use crate::engine::{ITEMS_MAX, error};

/// Most bytes that a script may add to one list or object.
const GROWTH_MAX: usize = 1 << 20;

type Result<T> = std::result::Result<T, Box<EvalAltResult>>;

/// A list or an object.
#[derive(Debug, Clone)]
pub(crate) struct Tree {
    value: Value,
    /// Bytes added by the script so far.
    grown: usize,
}

impl Tree {
    pub(crate) fn new(value: Value) -> Tree {
        Tree { value, grown: 0 }
    }

    /// Bytes added by the script so far.
    pub(crate) fn grown(&self) -> usize {
        self.grown
    }

    pub(crate) fn value(&self) -> &Value {
        &self.value
    }

    fn len(&self) -> usize {
        match self.value.resolved() {
            Value::Array(items) => items.len(),
            Value::Object(map) => map.len(),
            _ => 0,
        }
    }

    fn key(&self, key: &str) -> Dynamic {
        self.value.get(key).map_or(Dynamic::UNIT, to_dynamic)
    }

    fn index(&self, index: INT) -> Dynamic {
        self.place(index).and_then(|index| self.value.as_array()?.get(index)).map_or(Dynamic::UNIT, to_dynamic)
    }

    /// The place an index means; negative ones count from the end.
    fn place(&self, index: INT) -> Option<usize> {
        let index = if index < 0 { index.checked_add(INT::try_from(self.len()).ok()?)? } else { index };
        usize::try_from(index).ok()
    }

    /// Takes what is to be added, within limits.
    fn admit(&mut self, value: Dynamic) -> Result<Value> {
        let value = from_dynamic(value)?;
        self.grown += value.weight().min(GROWTH_MAX + 1);
        if self.grown > GROWTH_MAX || self.len() >= ITEMS_MAX {
            return Err(error(format!("more than {ITEMS_MAX} items or {GROWTH_MAX} bytes were added")));
        }
        Ok(value)
    }

    fn set_key(&mut self, key: &str, value: Dynamic) -> Result<()> {
        let value = self.admit(value)?;
        match self.value.as_object_mut() {
            Some(map) => {
                map.insert(key, value);
                Ok(())
            }
            None => Err(error(format!("a list has no property \"{key}\""))),
        }
    }

    fn set_index(&mut self, index: INT, value: Dynamic) -> Result<()> {
        let value = self.admit(value)?;
        let place = self.place(index);
        match place.and_then(|place| self.value.as_array_mut()?.get_mut(place)) {
            Some(item) => {
                *item = value;
                Ok(())
            }
            None => Err(error(format!("there is no item {index}; add one with push"))),
        }
    }

    fn push(&mut self, value: Dynamic) -> Result<()> {
        let value = self.admit(value)?;
        match self.value.as_array_mut() {
            Some(items) => {
                items.push(value);
                Ok(())
            }
            None => Err(error("only a list can be added to with push")),
        }
    }

    fn remove_key(&mut self, key: &str) -> Dynamic {
        let removed = self.value.as_object_mut().and_then(|map| map.remove(key));
        removed.as_ref().map_or(Dynamic::UNIT, to_dynamic)
    }

    fn remove_index(&mut self, index: INT) -> Dynamic {
        let place = self.place(index);
        let removed = self.value.as_array_mut().and_then(|items| {
            let place = place.filter(|place| *place < items.len())?;
            Some(items.remove(place))
        });
        removed.as_ref().map_or(Dynamic::UNIT, to_dynamic)
    }

    fn keys(&self) -> Array {
        let keys = self.value.as_object().into_iter().flat_map(|map| map.keys());
        keys.map(|key| Dynamic::from(ImmutableString::from(key))).collect()
    }

    fn items(&self) -> Array {
        match self.value.resolved() {
            Value::Array(items) => items.iter().map(to_dynamic).collect(),
            Value::Object(map) => map.iter().map(|(_, value)| to_dynamic(value)).collect(),
            _ => Array::new(),
        }
    }

    fn to_map(&self) -> RhaiMap {
        let entries = self.value.as_object().into_iter().flat_map(|map| map.iter());
        entries.map(|(key, value)| (key.into(), to_dynamic(value))).collect()
    }
}

/// Items of a list, keys of an object.
impl IntoIterator for Tree {
    type Item = Dynamic;
    type IntoIter = Items;

    fn into_iter(self) -> Items {
        match self.value.resolved() {
            Value::Array(items) => Items::List(Arc::clone(items), 0),
            _ => Items::Keys(self.keys().into_iter()),
        }
    }
}

/// Iterator over a [`Tree`].
pub(crate) enum Items {
    List(Arc<Vec<Value>>, usize),
    Keys(std::vec::IntoIter<Dynamic>),
}

impl Iterator for Items {
    type Item = Dynamic;

    fn next(&mut self) -> Option<Dynamic> {
        match self {
            Items::Keys(keys) => keys.next(),
            Items::List(items, at) => {
                let item = items.get(*at)?;
                *at += 1;
                Some(to_dynamic(item))
            }
        }
    }
}

/// Makes trees known to the engine.
pub(crate) fn register(engine: &mut Engine) {
    engine
        .register_type_with_name::<Tree>("Data")
        .register_indexer_get(|tree: &mut Tree, key: ImmutableString| tree.key(&key))
        .register_indexer_get(|tree: &mut Tree, index: INT| tree.index(index))
        .register_indexer_set(|tree: &mut Tree, key: ImmutableString, value: Dynamic| tree.set_key(&key, value))
        .register_indexer_set(|tree: &mut Tree, index: INT, value: Dynamic| tree.set_index(index, value))
        // What is missing has no properties either: `msg.a.b` is `()` without an error.
        .register_indexer_get(|_: &mut (), _: ImmutableString| Dynamic::UNIT)
        .register_iterator::<Tree>()
        .register_get("len", |tree: &mut Tree| tree_len(tree));
    engine
        .register_fn("len", |tree: &mut Tree| tree_len(tree))
        .register_fn("is_empty", |tree: &mut Tree| tree.len() == 0)
        .register_fn("contains", |tree: &mut Tree, key: ImmutableString| contains(tree, &Value::string(key.as_str())))
        .register_fn("contains", |tree: &mut Tree, item: Dynamic| {
            Ok::<_, Box<EvalAltResult>>(contains(tree, &from_dynamic(item)?))
        })
        .register_fn("push", |tree: &mut Tree, item: Dynamic| tree.push(item))
        .register_fn("remove", |tree: &mut Tree, key: ImmutableString| tree.remove_key(&key))
        .register_fn("remove", |tree: &mut Tree, index: INT| tree.remove_index(index))
        .register_fn("keys", |tree: &mut Tree| tree.keys())
        .register_fn("values", |tree: &mut Tree| tree.items())
        .register_fn("to_array", |tree: &mut Tree| tree.items())
        .register_fn("to_map", |tree: &mut Tree| tree.to_map())
        .register_fn("to_string", |tree: &mut Tree| tree.value.to_json())
        .register_fn("to_debug", |tree: &mut Tree| tree.value.to_json())
        .register_fn("to_json", |tree: &mut Tree| tree.value.to_json())
        .register_fn("==", |a: Tree, b: Tree| a.value == b.value)
        .register_fn("!=", |a: Tree, b: Tree| a.value != b.value);
}

fn tree_len(tree: &Tree) -> INT {
    INT::try_from(tree.len()).unwrap_or(INT::MAX)
}

fn contains(tree: &Tree, wanted: &Value) -> bool {
    match tree.value.resolved() {
        Value::Array(items) => items.contains(wanted),
        Value::Object(map) => wanted.as_str().is_some_and(|key| map.contains_key(key)),
        _ => false,
    }
}
