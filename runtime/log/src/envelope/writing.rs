//! Writes the fields of an event as [`Fields`](super::fields::Fields) reads them, and postcard would.

use serde::Serialize;
use tidewire_model::event::EventId;

pub(super) fn number(mut number: u64, buffer: &mut Vec<u8>) {
    while number >= 0x80 {
        buffer.push(u8::try_from(number & 0x7f).unwrap_or_default() | 0x80);
        number >>= 7;
    }
    buffer.push(u8::try_from(number).unwrap_or_default());
}

pub(super) fn signed(value: i64, buffer: &mut Vec<u8>) {
    number((value << 1 ^ value >> 63).cast_unsigned(), buffer);
}

pub(super) fn bytes(bytes: &[u8], buffer: &mut Vec<u8>) {
    number(bytes.len() as u64, buffer);
    buffer.extend_from_slice(bytes);
}

pub(super) fn text(text: impl AsRef<str>, buffer: &mut Vec<u8>) {
    bytes(text.as_ref().as_bytes(), buffer);
}

pub(super) fn id(id: &EventId, buffer: &mut Vec<u8>) {
    match id {
        EventId::Bits(bits) => {
            buffer.push(0);
            buffer.extend_from_slice(&bits.to_be_bytes());
        }
        EventId::Text(name) => {
            buffer.push(1);
            text(name, buffer);
        }
    }
}

pub(super) fn optional<T>(value: Option<T>, write: impl FnOnce(T, &mut Vec<u8>), buffer: &mut Vec<u8>) {
    buffer.push(u8::from(value.is_some()));
    if let Some(value) = value {
        write(value, buffer);
    }
}

/// What is not worth a writer of its own. Something that is empty is one byte 0.
pub(super) fn rare<T: Serialize + Default + PartialEq>(value: &T, buffer: &mut Vec<u8>) {
    if *value == T::default() {
        buffer.push(0);
    } else {
        *buffer = postcard::to_extend(value, std::mem::take(buffer)).expect("a growing buffer takes every value");
    }
}
