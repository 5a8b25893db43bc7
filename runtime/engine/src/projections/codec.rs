//! How entries of read models are written to the store. Exact: what is read back equals what was written, including
//! what JSON lacks (bytes, dates, undefined, integers apart from floats).

use std::sync::Arc;

use bytes::{Buf, Bytes};
use tidewire_model::position::Position;
use tidewire_model::value::{ByteString, LazyJson, Map};
use tidewire_model::{Value, value};
use tidewire_node_api::handles::Entry;

/// Form of what is written; another one is not read, and the read model is built anew.
const FORM: u8 = 1;
/// Deeper nesting than any parser or script here produces.
const DEPTH_MAX: usize = 256;

/// An entry as stored.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stored {
    pub(super) state: Value,
    /// What readers see, where it differs from the state.
    pub(super) shown: Option<Value>,
    pub(super) position: Position,
    pub(super) time: i64,
}

impl Stored {
    pub(super) fn into_entry(self, key: impl Into<String>) -> Entry {
        let value = self.shown.unwrap_or(self.state);
        Entry { key: key.into(), value, position: self.position, time: self.time }
    }
}

/// Whether two values are the same, without parsing JSON that nobody has looked into.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Json(a), Value::Json(b)) => Arc::ptr_eq(a, b) || a.bytes() == b.bytes(),
        (Value::Float(a), Value::Float(b)) => a.to_bits() == b.to_bits(),
        _ => a == b,
    }
}

pub(super) fn encode(state: &Value, shown: Option<&Value>, position: Position, time: i64) -> Bytes {
    let mut out = Vec::with_capacity(48);
    out.push(FORM);
    out.extend_from_slice(&position.get().to_le_bytes());
    out.extend_from_slice(&time.to_le_bytes());
    write(state, &mut out);
    if let Some(shown) = shown {
        write(shown, &mut out);
    }
    Bytes::from(out)
}

/// `None` when the bytes are not an entry in this form.
pub(super) fn decode(mut bytes: Bytes) -> Option<Stored> {
    if bytes.try_get_u8().ok()? != FORM {
        return None;
    }
    let position = Position::new(bytes.try_get_u64_le().ok()?);
    let time = bytes.try_get_i64_le().ok()?;
    let state = read(&mut bytes, 0)?;
    let shown = if bytes.is_empty() { None } else { Some(read(&mut bytes, 0)?) };
    Some(Stored { state, shown, position, time })
}

fn write_len(len: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_le_bytes());
}

fn write_bytes(tag: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(tag);
    write_len(bytes.len(), out);
    out.extend_from_slice(bytes);
}

fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Undefined => out.push(0),
        Value::Null => out.push(1),
        Value::Bool(value) => out.push(2 + u8::from(*value)),
        Value::Int(number) => {
            out.push(4);
            out.extend_from_slice(&number.to_le_bytes());
        }
        Value::Float(number) => {
            out.push(5);
            out.extend_from_slice(&number.to_le_bytes());
        }
        Value::String(text) => write_bytes(6, text.as_bytes(), out),
        Value::Bytes(bytes) => write_bytes(7, bytes, out),
        Value::Date(ms) => {
            out.push(8);
            out.extend_from_slice(&ms.to_le_bytes());
        }
        Value::Array(items) => {
            out.push(9);
            write_len(items.len(), out);
            items.iter().for_each(|item| write(item, out));
        }
        Value::Object(map) => {
            out.push(10);
            write_len(map.len(), out);
            for (key, value) in map.iter() {
                write_len(key.len(), out);
                out.extend_from_slice(key.as_bytes());
                write(value, out);
            }
        }
        Value::Json(lazy) => write_bytes(11, lazy.bytes(), out),
    }
}

fn take(bytes: &mut Bytes) -> Option<Bytes> {
    let len = usize::try_from(bytes.try_get_u32_le().ok()?).ok()?;
    (bytes.len() >= len).then(|| bytes.split_to(len))
}

fn take_text(bytes: &mut Bytes) -> Option<ByteString> {
    ByteString::try_from(take(bytes)?).ok()
}

fn read(bytes: &mut Bytes, depth: usize) -> Option<Value> {
    if depth > DEPTH_MAX {
        return None;
    }
    Some(match bytes.try_get_u8().ok()? {
        0 => Value::Undefined,
        1 => Value::Null,
        2 => Value::Bool(false),
        3 => Value::Bool(true),
        4 => Value::Int(bytes.try_get_i64_le().ok()?),
        5 => Value::Float(bytes.try_get_f64_le().ok()?),
        6 => Value::String(take_text(bytes)?),
        7 => Value::Bytes(take(bytes)?),
        8 => Value::Date(bytes.try_get_i64_le().ok()?),
        9 => {
            let len = bytes.try_get_u32_le().ok()?;
            let items: Option<Vec<Value>> = (0..len).map(|_| read(bytes, depth + 1)).collect();
            Value::array(items?)
        }
        10 => {
            let len = bytes.try_get_u32_le().ok()?;
            let mut map = Map::new();
            for _ in 0..len {
                let key = take_text(bytes)?;
                map.insert(&*key, read(bytes, depth + 1)?);
            }
            Value::object(map)
        }
        11 => value::Value::Json(Arc::new(LazyJson::new(take(bytes)?).ok()?)),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_kind_of_value_comes_back_as_it_was() {
        let map: Map = [
            ("undefined", Value::Undefined),
            ("null", Value::Null),
            ("yes", Value::Bool(true)),
            ("int", Value::Int(-5)),
            ("float", Value::Float(5.0)),
            ("text", Value::string("ümlaut")),
            ("bytes", Value::Bytes(Bytes::from_static(&[0, 255]))),
            ("date", Value::Date(1_700_000_000_000)),
            ("list", Value::array(vec![Value::Int(1), Value::Null])),
            ("json", Value::lazy_json(Bytes::from_static(b"{ \"a\": 1.50 }")).unwrap()),
        ]
        .into_iter()
        .collect();
        let state = Value::object(map);
        let stored = decode(encode(&state, Some(&Value::Int(7)), Position::new(9), -3)).unwrap();
        assert_eq!(format!("{:?}", stored.state), format!("{state:?}"));
        assert_eq!((stored.position, stored.time, stored.shown), (Position::new(9), -3, Some(Value::Int(7))));
    }

    #[test]
    fn damaged_bytes_are_refused() {
        let whole = encode(&Value::array(vec![Value::string("abc")]), None, Position::FIRST, 0);
        for len in 0..whole.len() {
            assert!(decode(whole.slice(..len)).is_none(), "{len}");
        }
        let mut deep = vec![FORM; 1];
        deep.extend_from_slice(&[0; 16]);
        (0..1_000).for_each(|_| deep.extend_from_slice(&[9, 1, 0, 0, 0]));
        assert!(decode(Bytes::from(deep)).is_none());
    }
}
