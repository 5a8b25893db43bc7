//! `Value`: JSON-like data that is cheap to clone and copied only when a shared part is written.
//!
//! It has what JavaScript messages have and JSON lacks (undefined, bytes, dates). JSON exists at the edges only.

pub mod codec;
mod json;
mod lazy;
mod map;
mod path;

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
pub use bytestring::ByteString;

pub use codec::CodecError;
pub use json::{ParseError, to_json_value, write_json};
pub use lazy::LazyJson;
pub use map::Map;
pub use path::{Path, PathError, Segment};

/// One value. A clone copies a pointer at most; a writer of a shared container gets its own copy of one level.
#[derive(Debug, Clone, Default)]
pub enum Value {
    /// JavaScript's `undefined`: an absent property. Left out of JSON objects.
    #[default]
    Undefined,
    Null,
    Bool(bool),
    /// An integer that JSON wrote without fraction or exponent and that fits 64 bits.
    Int(i64),
    Float(f64),
    String(ByteString),
    /// Binary data, Node-RED's `Buffer`.
    Bytes(Bytes),
    /// A point in time, milliseconds since 1970-01-01T00:00:00Z.
    Date(i64),
    Array(Arc<Vec<Value>>),
    Object(Arc<Map>),
    /// Checked JSON text that nobody has looked into yet.
    Json(Arc<LazyJson>),
}

impl Value {
    /// A string value; copies `text` once.
    pub fn string(text: impl AsRef<str>) -> Self {
        Value::String(ByteString::from(text.as_ref()))
    }

    pub fn array(items: Vec<Value>) -> Self {
        Value::Array(Arc::new(items))
    }

    pub fn object(map: Map) -> Self {
        Value::Object(Arc::new(map))
    }

    /// The value itself, with lazily parsed JSON looked into.
    pub fn resolved(&self) -> &Value {
        match self {
            Value::Json(lazy) => lazy.value(),
            other => other,
        }
    }

    /// Turns lazily parsed JSON into plain data, then gives access to it.
    pub fn resolve_mut(&mut self) -> &mut Value {
        if let Value::Json(lazy) = self {
            *self = lazy.value().clone();
        }
        self
    }

    pub fn is_undefined(&self) -> bool {
        matches!(self, Value::Undefined)
    }

    /// Null or undefined.
    pub fn is_nullish(&self) -> bool {
        matches!(self.resolved(), Value::Undefined | Value::Null)
    }

    pub fn as_bool(&self) -> Option<bool> {
        match self.resolved() {
            Value::Bool(b) => Some(*b),
            _ => None,
        }
    }

    /// The number, if this is one. Strings are not converted; see [`Value::to_number`].
    pub fn as_f64(&self) -> Option<f64> {
        match self.resolved() {
            Value::Int(i) => Some(*i as f64),
            Value::Float(f) => Some(*f),
            _ => None,
        }
    }

    pub fn as_i64(&self) -> Option<i64> {
        match self.resolved() {
            Value::Int(i) => Some(*i),
            Value::Float(f) if f.fract() == 0.0 && f.abs() < 9.0e15 => Some(*f as i64),
            _ => None,
        }
    }

    pub fn as_str(&self) -> Option<&str> {
        match self.resolved() {
            Value::String(s) => Some(s),
            _ => None,
        }
    }

    pub fn as_array(&self) -> Option<&[Value]> {
        match self.resolved() {
            Value::Array(items) => Some(items),
            _ => None,
        }
    }

    pub fn as_object(&self) -> Option<&Map> {
        match self.resolved() {
            Value::Object(map) => Some(map),
            _ => None,
        }
    }

    /// Property of an object; `None` when this is no object or has no such property.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.as_object()?.get(key)
    }

    /// Writable object behind this value, copied first if shared. `None` when this is no object.
    pub fn as_object_mut(&mut self) -> Option<&mut Map> {
        match self.resolve_mut() {
            Value::Object(map) => Some(Arc::make_mut(map)),
            _ => None,
        }
    }

    /// Writable array behind this value, copied first if shared. `None` when this is no array.
    pub fn as_array_mut(&mut self) -> Option<&mut Vec<Value>> {
        match self.resolve_mut() {
            Value::Array(items) => Some(Arc::make_mut(items)),
            _ => None,
        }
    }

    /// JavaScript's `Number(value)`: NaN where it has none.
    pub fn to_number(&self) -> f64 {
        match self.resolved() {
            Value::Undefined | Value::Object(_) | Value::Bytes(_) | Value::Json(_) => f64::NAN,
            Value::Null => 0.0,
            Value::Bool(b) => f64::from(u8::from(*b)),
            Value::Int(i) => *i as f64,
            Value::Float(f) => *f,
            Value::Date(ms) => *ms as f64,
            Value::String(s) => text_to_number(s),
            Value::Array(items) => match items.as_slice() {
                [] => 0.0,
                [one] => text_to_number(&one.to_text()),
                _ => f64::NAN,
            },
        }
    }

    /// JavaScript's truthiness.
    pub fn is_truthy(&self) -> bool {
        match self.resolved() {
            Value::Undefined | Value::Null => false,
            Value::Bool(b) => *b,
            Value::Int(i) => *i != 0,
            Value::Float(f) => *f != 0.0 && !f.is_nan(),
            Value::String(s) => !s.is_empty(),
            _ => true,
        }
    }

    /// Text for a template or a topic: strings as they are, containers as JSON, nullish as the empty text,
    /// bytes as UTF-8 with replacement characters.
    pub fn to_text(&self) -> Cow<'_, str> {
        match self {
            Value::Undefined | Value::Null => Cow::Borrowed(""),
            Value::Bool(true) => Cow::Borrowed("true"),
            Value::Bool(false) => Cow::Borrowed("false"),
            Value::Int(i) => Cow::Owned(i.to_string()),
            Value::Float(f) => Cow::Owned(json::number_text(*f)),
            Value::String(s) => Cow::Borrowed(s),
            Value::Bytes(bytes) => String::from_utf8_lossy(bytes),
            Value::Date(ms) => Cow::Owned(json::date_text(*ms)),
            Value::Json(lazy) => Cow::Borrowed(lazy.text()),
            Value::Array(_) | Value::Object(_) => Cow::Owned(self.to_json()),
        }
    }

    /// `typeof` as Node-RED users know it: undefined, null, boolean, number, string, buffer, date, array, object.
    pub fn type_name(&self) -> &'static str {
        match self.resolved() {
            Value::Undefined => "undefined",
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Int(_) | Value::Float(_) => "number",
            Value::String(_) => "string",
            Value::Bytes(_) => "buffer",
            Value::Date(_) => "date",
            Value::Array(_) => "array",
            Value::Object(_) | Value::Json(_) => "object",
        }
    }

    /// Rough size in memory, in bytes, for budgets; counts shared parts in full and does not parse lazy JSON.
    pub fn weight(&self) -> usize {
        self.weight_of(usize::MAX)
    }

    /// The same from a look at no more than about `looks` parts of it, for large lists an estimate.
    pub fn weight_of(&self, looks: usize) -> usize {
        40 + match self {
            Value::String(s) => s.len(),
            Value::Bytes(b) => b.len(),
            Value::Json(lazy) => lazy.bytes().len(),
            Value::Array(items) => estimate(items.len(), looks, items.iter(), Value::weight_of),
            Value::Object(map) => {
                estimate(map.len(), looks, map.iter(), |(key, value), looks| key.len() + value.weight_of(looks))
            }
            _ => 0,
        }
    }
}

/// The weight of `len` parts, seen from the first ones of them.
fn estimate<T>(len: usize, looks: usize, parts: impl Iterator<Item = T>, weight: impl Fn(T, usize) -> usize) -> usize {
    let seen = len.min(looks.max(1));
    if seen == 0 {
        return 0;
    }
    let each = if looks == usize::MAX { looks } else { looks / seen };
    let sum: usize = parts.take(seen).map(|part| weight(part, each)).sum();
    if seen == len { sum } else { sum / seen * len }
}

fn text_to_number(text: &str) -> f64 {
    let text = text.trim();
    if text.is_empty() {
        return 0.0;
    }
    let radix = |digits: &str, radix| u64::from_str_radix(digits, radix).map_or(f64::NAN, |n| n as f64);
    match text.as_bytes() {
        [b'0', b'x' | b'X', ..] => radix(text.get(2..).unwrap_or(""), 16),
        [b'0', b'b' | b'B', ..] => radix(text.get(2..).unwrap_or(""), 2),
        [b'0', b'o' | b'O', ..] => radix(text.get(2..).unwrap_or(""), 8),
        _ => match text {
            "Infinity" | "+Infinity" => f64::INFINITY,
            "-Infinity" => f64::NEG_INFINITY,
            // Rust also reads "inf" and "nan", JavaScript does not.
            _ if text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+' | b'e' | b'E')) => {
                text.parse().unwrap_or(f64::NAN)
            }
            _ => f64::NAN,
        },
    }
}

/// Deep equality. Integers and floats are equal when they are the same number.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        use Value::*;
        match (self.resolved(), other.resolved()) {
            (Undefined, Undefined) | (Null, Null) => true,
            (Bool(a), Bool(b)) => a == b,
            (Int(a), Int(b)) => a == b,
            (Float(a), Float(b)) => a == b,
            (Int(a), Float(b)) | (Float(b), Int(a)) => *a as f64 == *b,
            (String(a), String(b)) => a == b,
            (Bytes(a), Bytes(b)) => a == b,
            (Date(a), Date(b)) => a == b,
            (Array(a), Array(b)) => Arc::ptr_eq(a, b) || a == b,
            (Object(a), Object(b)) => Arc::ptr_eq(a, b) || a == b,
            _ => false,
        }
    }
}

macro_rules! value_from {
    ($($from:ty => |$v:ident| $to:expr),* $(,)?) => {
        $(impl From<$from> for Value {
            fn from($v: $from) -> Self {
                $to
            }
        })*
    };
}

value_from! {
    bool => |v| Value::Bool(v),
    i64 => |v| Value::Int(v),
    i32 => |v| Value::Int(i64::from(v)),
    u32 => |v| Value::Int(i64::from(v)),
    u8 => |v| Value::Int(i64::from(v)),
    u64 => |v| i64::try_from(v).map_or(Value::Float(v as f64), Value::Int),
    usize => |v| i64::try_from(v).map_or(Value::Float(v as f64), Value::Int),
    f64 => |v| Value::Float(v),
    &str => |v| Value::string(v),
    String => |v| Value::String(ByteString::from(v)),
    ByteString => |v| Value::String(v),
    Bytes => |v| Value::Bytes(v),
    Map => |v| Value::object(v),
    Vec<Value> => |v| Value::array(v),
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn writing_a_shared_object_leaves_the_other_holder_alone() {
        let first = Value::from_json(r#"{"a":1,"b":{"c":2}}"#).unwrap();
        let mut second = first.clone();
        second.as_object_mut().unwrap().insert("a", 9);
        assert_eq!(first.get("a"), Some(&Value::Int(1)));
        assert_eq!(second.get("a"), Some(&Value::Int(9)));
    }

    #[test]
    fn numbers_follow_javascript() {
        assert_eq!(Value::string(" 12.5 ").to_number(), 12.5);
        assert_eq!(Value::string("0x10").to_number(), 16.0);
        assert_eq!(Value::string("").to_number(), 0.0);
        assert!(Value::string("nan").to_number().is_nan());
        assert!(Value::string("12 apples").to_number().is_nan());
        assert_eq!(Value::Null.to_number(), 0.0);
        assert!(Value::Undefined.to_number().is_nan());
        assert_eq!(Value::Int(3), Value::Float(3.0));
    }
}
