//! One sequence under way: what has been collected of it.

use std::collections::BTreeMap;

use bytes::Bytes;
use compact_str::CompactString;
use tidewire_model::value::Path;
use tidewire_model::{Map, Message, Value};
use tidewire_node_api::{Deferred, Token};

use super::super::parts;
use super::place::Place;
use crate::shared::coerce::text;
use crate::shared::held::{Held, NEVER};

/// Places in a sequence: one more, and a message would claim more memory than it brings.
const PLACES_MAX: usize = 1_000_000;

/// Property of a snapshot that no message has.
const SNAPSHOT: &str = "\u{0}group";

/// What a group becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Object,
    Merged,
    List,
    Text,
    Bytes,
}

enum Values {
    Named(Map),
    Placed(BTreeMap<usize, Value>),
}

/// See the module.
pub(super) struct Group {
    kind: Kind,
    values: Values,
    /// Messages, or names, so far.
    current: usize,
    count: f64,
    glue: Value,
    len: usize,
    target: CompactString,
    /// The properties of all messages so far, later ones winning.
    message: Message,
    pub(super) due: i64,
    /// Key of its timer.
    pub(super) timer: u64,
    /// Records of its messages.
    pub(super) records: Vec<u64>,
    /// Messages whose sources wait.
    pub(super) waiting: Vec<Held>,
    /// Messages whose work ends with the group.
    pub(super) open: Vec<Deferred>,
}

/// How a message went in.
pub(super) enum Added {
    Well,
    /// It did not fit, and is there with its other properties.
    Warned(&'static str),
    /// It cannot be taken.
    Refused(String),
}

impl Kind {
    fn number(self) -> i64 {
        self as i64
    }

    fn numbered(number: i64) -> Option<Kind> {
        [Kind::Object, Kind::Merged, Kind::List, Kind::Text, Kind::Bytes]
            .into_iter()
            .find(|kind| kind.number() == number)
    }
}

impl Group {
    pub(super) fn new(place: &Place, message: Message, timer: u64) -> Group {
        let values = match place.kind {
            Kind::Object | Kind::Merged => Values::Named(Map::new()),
            Kind::List | Kind::Text | Kind::Bytes => Values::Placed(BTreeMap::new()),
        };
        Group {
            kind: place.kind,
            values,
            current: 0,
            count: place.count,
            glue: place.glue.clone(),
            len: place.len,
            target: place.target.clone(),
            message,
            due: NEVER,
            timer,
            records: Vec::new(),
            waiting: Vec::new(),
            open: Vec::new(),
        }
    }

    /// Number of values so far.
    pub(super) fn len(&self) -> usize {
        match &self.values {
            Values::Named(map) => map.len(),
            Values::Placed(list) => list.len(),
        }
    }

    pub(super) fn is_complete(&self) -> bool {
        self.count > 0.0 && self.current as f64 >= self.count
    }

    /// A message said that the group is complete.
    pub(super) fn told_complete(&self) -> bool {
        self.message.body().contains_key("complete")
    }

    pub(super) fn tell_complete(&mut self, complete: Value) {
        self.message.set("complete", complete);
    }

    /// The message is held for the group.
    pub(super) fn take(&mut self, held: Held) {
        if held.token.is_some() {
            self.waiting.push(held);
        } else {
            self.records.push(held.entry.id);
        }
    }

    /// The tokens of the sources that wait.
    pub(super) fn tokens(&mut self) -> Vec<Token> {
        self.waiting.drain(..).filter_map(|held| held.token).collect()
    }

    /// Puts a message in.
    pub(super) fn add(&mut self, place: &Place, message: &Message) -> Added {
        let added = self.put(place);
        if matches!(added, Added::Refused(_)) {
            return added;
        }
        let earlier = std::mem::replace(&mut self.message, message.clone());
        let missing = earlier.body().iter().filter(|(key, _)| *key != "_msgid" && !message.body().contains_key(key));
        missing.for_each(|(key, value)| self.message.set(key, value.clone()));
        if let Some(parts) = message.get("parts")
            && (self.count.is_nan() || self.count == 0.0)
        {
            self.count = parts.get("count").map_or(f64::NAN, Value::to_number);
        }
        added
    }

    fn put(&mut self, place: &Place) -> Added {
        match &mut self.values {
            Values::Named(map) if self.kind == Kind::Merged => {
                let value = place.value.resolved();
                match value {
                    Value::Object(object) => {
                        for (key, value) in object.iter().filter(|(key, _)| *key != "_msgid") {
                            map.insert(key, value.clone());
                        }
                        self.current = map.len();
                    }
                    Value::Null => {}
                    _ => return Added::Warned("Cannot merge non-object types"),
                }
            }
            Values::Named(map) => {
                if let Some(key) = &place.key {
                    map.insert(key.clone(), place.value.clone());
                }
                self.current = map.len();
            }
            Values::Placed(list) => {
                let value = place.value.resolved();
                let fits = matches!(value, Value::Undefined | Value::Bytes(_) | Value::String(_) | Value::Array(_));
                if self.kind == Kind::Bytes && !fits {
                    return Added::Refused(format!("Cannot join {} to buffer", value.type_name()));
                }
                if place.index.is_none() && value.is_undefined() {
                    return Added::Well;
                }
                let end = list.last_key_value().map_or(0, |(last, _)| last + 1);
                let index = place.index.unwrap_or(end);
                if index >= PLACES_MAX {
                    return Added::Refused(format!(
                        "msg.parts.index is {index}; a sequence has at most {PLACES_MAX} parts"
                    ));
                }
                let earlier = list.insert(index, place.value.clone());
                if earlier.is_none_or(|value| value.is_nullish()) {
                    self.current += 1;
                }
            }
        }
        Added::Well
    }

    /// The message that the group has become so far.
    pub(super) fn result(&self) -> Message {
        let value = match &self.values {
            Values::Named(map) => Value::object(map.clone()),
            Values::Placed(list) => match self.kind {
                Kind::Text => Value::from(joined_text(list, &glue_text(&self.glue))),
                Kind::Bytes => Value::Bytes(joined_bytes(list, &value_bytes(&self.glue))),
                _ if self.len > 1 => Value::array(flat(list)),
                _ => Value::array(dense(list).cloned().collect()),
            },
        };
        let mut message = self.message.clone();
        if let Ok(path) = Path::parse(&self.target) {
            message.set_path(&path, value, true);
        }
        parts::strip(&mut message);
        message.body_mut().remove("complete");
        message
    }

    /// All there is to the group, as one message.
    pub(super) fn snapshot(&self) -> Message {
        let (named, values) = match &self.values {
            Values::Named(map) => (true, map.clone()),
            Values::Placed(list) => {
                (false, list.iter().map(|(index, value)| (index.to_string(), value.clone())).collect())
            }
        };
        let mut group = Map::new();
        group.insert("kind", self.kind.number());
        group.insert("named", named);
        group.insert("values", values);
        group.insert("current", self.current);
        group.insert("count", self.count);
        group.insert("glue", self.glue.clone());
        group.insert("len", self.len);
        group.insert("target", self.target.as_str());
        let mut message = self.message.clone();
        message.set(SNAPSHOT, group);
        message
    }

    /// The group of a snapshot; none if this is a message like any other.
    pub(super) fn from_snapshot(message: &Message, timer: u64) -> Option<Group> {
        let group = message.get(SNAPSHOT)?.clone();
        let number = |key: &str| group.get(key).and_then(Value::as_i64);
        let values = group.get("values")?.as_object()?;
        let placed = |(key, value): (&str, &Value)| Some((key.parse::<usize>().ok()?, value.clone()));
        let values = if group.get("named")?.as_bool()? {
            Values::Named(values.clone())
        } else {
            Values::Placed(values.iter().filter_map(placed).collect())
        };
        let mut message = message.clone();
        message.body_mut().remove(SNAPSHOT);
        Some(Group {
            kind: Kind::numbered(number("kind")?)?,
            values,
            current: usize::try_from(number("current")?).ok()?,
            count: group.get("count")?.to_number(),
            glue: group.get("glue").cloned().unwrap_or_default(),
            len: usize::try_from(number("len")?).ok()?,
            target: group.get("target")?.as_str()?.into(),
            message,
            due: NEVER,
            timer,
            records: Vec::new(),
            waiting: Vec::new(),
            open: Vec::new(),
        })
    }
}

/// The values by place, undefined where there is none.
fn dense(list: &BTreeMap<usize, Value>) -> impl Iterator<Item = &Value> {
    let end = list.last_key_value().map_or(0, |(last, _)| last + 1);
    (0..end).map(|index| list.get(&index).unwrap_or(&Value::Undefined))
}

/// The items of all arrays.
fn flat(list: &BTreeMap<usize, Value>) -> Vec<Value> {
    let items = |value: &Value| value.as_array().map_or_else(|| vec![value.clone()], <[Value]>::to_vec);
    list.values().flat_map(items).collect()
}

fn joined_text(list: &BTreeMap<usize, Value>, glue: &str) -> String {
    let texts: Vec<_> = dense(list).map(|value| if value.is_nullish() { "".into() } else { text(value) }).collect();
    texts.join(glue)
}

fn joined_bytes(list: &BTreeMap<usize, Value>, glue: &[u8]) -> Bytes {
    let values: Vec<Vec<u8>> = list.values().map(value_bytes).collect();
    Bytes::from(values.join(glue))
}

/// `Buffer.from(value)`.
fn value_bytes(value: &Value) -> Vec<u8> {
    match value.resolved() {
        Value::Bytes(bytes) => bytes.to_vec(),
        Value::String(text) => text.as_bytes().to_vec(),
        Value::Array(items) => items.iter().map(|item| (item.to_number() as i64 & 0xff) as u8).collect(),
        _ => Vec::new(),
    }
}

fn glue_text(glue: &Value) -> String {
    match glue.resolved() {
        Value::Undefined | Value::Null => String::new(),
        Value::Bytes(_) | Value::Array(_) => String::from_utf8_lossy(&value_bytes(glue)).into_owned(),
        other => text(other).into_owned(),
    }
}
