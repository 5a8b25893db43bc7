//! Values as compact bytes, for what is kept on disk. Exact: what is read back equals what was written, including what
//! JSON lacks (bytes, dates, undefined, integers apart from floats), the order of keys, and JSON text byte for byte.
//!
//! [`write`] and [`read`] are for records that hold more than one value; such a record starts with a version of its own.

use std::sync::Arc;

use bytes::{Buf, Bytes};
use bytestring::ByteString;

use super::{LazyJson, Map, Value};

/// Version of the form of a single value.
const FORM: u8 = 1;

/// Deeper nesting than any parser or script makes; a reader's stack must not depend on what is read.
const DEPTH_MAX: usize = 256;

/// Why bytes are no value or message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    #[error("it has version {0}, which is not known here")]
    Version(u8),
    #[error("it is cut off or damaged")]
    Damaged,
    #[error("it is nested too deeply")]
    TooDeep,
}

mod tag {
    pub const UNDEFINED: u8 = 0;
    pub const NULL: u8 = 1;
    pub const FALSE: u8 = 2;
    pub const TRUE: u8 = 3;
    pub const INT: u8 = 4;
    pub const FLOAT: u8 = 5;
    pub const STRING: u8 = 6;
    pub const BYTES: u8 = 7;
    pub const DATE: u8 = 8;
    pub const ARRAY: u8 = 9;
    pub const OBJECT: u8 = 10;
    pub const JSON: u8 = 11;
}

impl Value {
    /// The value as bytes with a version; [`Value::from_bytes`] is the way back.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let mut out = Vec::with_capacity(16);
        out.push(FORM);
        write(self, &mut out);
        Bytes::from(out)
    }

    /// The value that [`Value::to_bytes`] wrote.
    ///
    /// # Errors
    /// The bytes are of another version, damaged, or not used up by the value.
    pub fn from_bytes(bytes: &[u8]) -> Result<Value, CodecError> {
        let mut bytes = Bytes::copy_from_slice(bytes);
        version(&mut bytes, FORM)?;
        let value = read(&mut bytes)?;
        end(&bytes)?;
        Ok(value)
    }
}

/// Takes the first byte, which must be `known`.
pub(crate) fn version(bytes: &mut Bytes, known: u8) -> Result<(), CodecError> {
    match bytes.try_get_u8() {
        Ok(version) if version == known => Ok(()),
        Ok(version) => Err(CodecError::Version(version)),
        Err(_) => Err(CodecError::Damaged),
    }
}

/// Nothing may be left.
pub(crate) fn end(bytes: &Bytes) -> Result<(), CodecError> {
    if bytes.is_empty() { Ok(()) } else { Err(CodecError::Damaged) }
}

/// Appends a number, seven bits a byte, the lowest first.
pub fn write_number(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push((number as u8 & 0x7f) | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Takes a number from the front.
///
/// # Errors
/// There is none, or it does not fit 64 bits.
pub fn read_number(bytes: &mut Bytes) -> Result<u64, CodecError> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = bytes.try_get_u8().map_err(|_| CodecError::Damaged)?;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            break;
        }
        number |= bits << shift;
        if byte < 0x80 {
            return Ok(number);
        }
    }
    Err(CodecError::Damaged)
}

/// Small numbers of either sign become small ones without.
fn write_signed(number: i64, out: &mut Vec<u8>) {
    write_number(((number << 1) ^ (number >> 63)) as u64, out);
}

fn read_signed(bytes: &mut Bytes) -> Result<i64, CodecError> {
    let number = read_number(bytes)?;
    Ok((number >> 1) as i64 ^ -((number & 1) as i64))
}

/// Appends bytes with their length.
pub fn write_slice(slice: &[u8], out: &mut Vec<u8>) {
    write_number(slice.len() as u64, out);
    out.extend_from_slice(slice);
}

/// Takes bytes with their length from the front, without copying them.
///
/// # Errors
/// There are fewer than the length says.
pub fn read_slice(bytes: &mut Bytes) -> Result<Bytes, CodecError> {
    let len = usize::try_from(read_number(bytes)?).map_err(|_| CodecError::Damaged)?;
    if bytes.len() < len { Err(CodecError::Damaged) } else { Ok(bytes.split_to(len)) }
}

/// Takes text with its length from the front, without copying it.
///
/// # Errors
/// There is less than the length says, or it is not UTF-8.
pub fn read_text(bytes: &mut Bytes) -> Result<ByteString, CodecError> {
    ByteString::try_from(read_slice(bytes)?).map_err(|_| CodecError::Damaged)
}

/// Appends a value.
pub fn write(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Undefined => out.push(tag::UNDEFINED),
        Value::Null => out.push(tag::NULL),
        Value::Bool(value) => out.push(if *value { tag::TRUE } else { tag::FALSE }),
        Value::Int(number) => {
            out.push(tag::INT);
            write_signed(*number, out);
        }
        Value::Float(number) => {
            out.push(tag::FLOAT);
            out.extend_from_slice(&number.to_le_bytes());
        }
        Value::String(text) => write_tagged(tag::STRING, text.as_bytes(), out),
        Value::Bytes(bytes) => write_tagged(tag::BYTES, bytes, out),
        Value::Date(ms) => {
            out.push(tag::DATE);
            write_signed(*ms, out);
        }
        Value::Array(items) => {
            out.push(tag::ARRAY);
            write_number(items.len() as u64, out);
            items.iter().for_each(|item| write(item, out));
        }
        Value::Object(map) => {
            out.push(tag::OBJECT);
            write_map(map, out);
        }
        Value::Json(lazy) => write_tagged(tag::JSON, lazy.bytes(), out),
    }
}

fn write_tagged(tag: u8, slice: &[u8], out: &mut Vec<u8>) {
    out.push(tag);
    write_slice(slice, out);
}

/// Appends properties in their order.
pub(crate) fn write_map(map: &Map, out: &mut Vec<u8>) {
    write_number(map.len() as u64, out);
    for (key, value) in map.iter() {
        write_slice(key.as_bytes(), out);
        write(value, out);
    }
}

/// Takes a value from the front.
///
/// # Errors
/// The bytes do not start with a value.
pub fn read(bytes: &mut Bytes) -> Result<Value, CodecError> {
    read_nested(bytes, 0)
}

/// Takes properties from the front.
pub(crate) fn read_map(bytes: &mut Bytes, depth: usize) -> Result<Map, CodecError> {
    let len = count(bytes)?;
    let mut map = Map::with_capacity(len.min(64));
    for _ in 0..len {
        let key = read_text(bytes)?;
        map.insert(&*key, read_nested(bytes, depth)?);
    }
    Ok(map)
}

/// A number of things of at least one byte each.
pub(crate) fn count(bytes: &mut Bytes) -> Result<usize, CodecError> {
    let count = usize::try_from(read_number(bytes)?).map_err(|_| CodecError::Damaged)?;
    if count > bytes.len() { Err(CodecError::Damaged) } else { Ok(count) }
}

fn read_nested(bytes: &mut Bytes, depth: usize) -> Result<Value, CodecError> {
    if depth > DEPTH_MAX {
        return Err(CodecError::TooDeep);
    }
    Ok(match bytes.try_get_u8().map_err(|_| CodecError::Damaged)? {
        tag::UNDEFINED => Value::Undefined,
        tag::NULL => Value::Null,
        tag::FALSE => Value::Bool(false),
        tag::TRUE => Value::Bool(true),
        tag::INT => Value::Int(read_signed(bytes)?),
        tag::FLOAT => Value::Float(bytes.try_get_f64_le().map_err(|_| CodecError::Damaged)?),
        tag::STRING => Value::String(read_text(bytes)?),
        tag::BYTES => Value::Bytes(read_slice(bytes)?),
        tag::DATE => Value::Date(read_signed(bytes)?),
        tag::ARRAY => {
            let len = count(bytes)?;
            let items: Result<Vec<Value>, CodecError> = (0..len).map(|_| read_nested(bytes, depth + 1)).collect();
            Value::array(items?)
        }
        tag::OBJECT => Value::object(read_map(bytes, depth + 1)?),
        tag::JSON => {
            let lazy = LazyJson::new(read_slice(bytes)?).map_err(|_| CodecError::Damaged)?;
            Value::Json(Arc::new(lazy))
        }
        _ => return Err(CodecError::Damaged),
    })
}

#[cfg(test)]
pub(crate) mod testing {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    /// Any value, as deep as four levels. Lazy JSON stands for itself: it comes back as text that nobody looked into.
    pub(crate) fn any_value() -> impl Strategy<Value = Value> {
        let json = any::<Vec<i32>>().prop_map(|list| {
            let text = format!("{{ \"list\" : {list:?} }}");
            Value::lazy_json(Bytes::from(text)).unwrap()
        });
        let leaf = prop_oneof![
            Just(Value::Undefined),
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Int),
            any::<f64>().prop_map(Value::Float),
            ".*".prop_map(Value::from),
            any::<Vec<u8>>().prop_map(|bytes| Value::Bytes(Bytes::from(bytes))),
            any::<i64>().prop_map(Value::Date),
            json,
        ];
        leaf.prop_recursive(4, 64, 8, |inner| {
            let key = prop_oneof!["[a-z]{0,4}", "[0-9]{1,3}"];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Value::array),
                prop::collection::vec((key, inner), 0..8).prop_map(|list| Value::object(list.into_iter().collect())),
            ]
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::testing::any_value;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_value_comes_back_as_it_was(value in any_value()) {
            let back = Value::from_bytes(&value.to_bytes()).unwrap();
            // Debug text tells integers from floats, shows the order of keys, and NaN equals NaN.
            prop_assert_eq!(format!("{back:?}"), format!("{value:?}"));
        }

        #[test]
        fn a_value_that_is_cut_off_is_refused(value in any_value(), cut in any::<prop::sample::Index>()) {
            let whole = value.to_bytes();
            let cut = cut.index(whole.len());
            prop_assert!(Value::from_bytes(whole.get(..cut).unwrap()).is_err());
        }

        #[test]
        fn any_bytes_are_read_without_harm(mut bytes in any::<Vec<u8>>()) {
            bytes.insert(0, FORM);
            let _ = Value::from_bytes(&bytes);
        }
    }

    #[test]
    fn deep_nesting_is_refused_and_the_version_is_looked_at() {
        let mut deep = vec![FORM];
        deep.extend((0..1_000).flat_map(|_| [tag::ARRAY, 1]));
        deep.push(tag::NULL);
        assert_eq!(Value::from_bytes(&deep).unwrap_err(), CodecError::TooDeep);
        assert_eq!(Value::from_bytes(&[9, tag::NULL]).unwrap_err(), CodecError::Version(9));
        assert_eq!(Value::from_bytes(&[FORM, tag::NULL, 0]).unwrap_err(), CodecError::Damaged);
    }

    #[test]
    fn small_things_are_small() {
        assert_eq!(Value::Int(-5).to_bytes().len(), 3);
        assert_eq!(Value::string("on").to_bytes().len(), 5);
    }
}
