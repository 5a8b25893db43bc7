//! How entries of read models are written to the store: positions and times beside values in the model's own form.

use std::sync::Arc;

use bytes::{Buf, Bytes};
use tidewire_model::Value;
use tidewire_model::position::Position;
use tidewire_model::value::codec::{read, write};
use tidewire_node_api::handles::Entry;

/// Form of what is written; another one is not read, and the read model is built anew.
const FORM: u8 = 2;

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
    let state = read(&mut bytes).ok()?;
    let shown = if bytes.is_empty() { None } else { Some(read(&mut bytes).ok()?) };
    Some(Stored { state, shown, position, time })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_entry_comes_back_as_it_was() {
        let state = Value::array(vec![Value::Float(5.0), Value::Undefined]);
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
    }
}
