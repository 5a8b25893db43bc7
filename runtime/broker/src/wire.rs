//! The primitives of the MQTT wire format: numbers, texts, frames.

use bytes::{BufMut, BytesMut};

/// MQTT 5 reason codes that the broker gives.
pub(crate) mod reason {
    pub(crate) const SUCCESS: u8 = 0x00;
    pub(crate) const NO_SUBSCRIPTION: u8 = 0x11;
    pub(crate) const UNSPECIFIED: u8 = 0x80;
    pub(crate) const MALFORMED: u8 = 0x81;
    pub(crate) const PROTOCOL: u8 = 0x82;
    pub(crate) const VERSION: u8 = 0x84;
    pub(crate) const CLIENT_ID: u8 = 0x85;
    pub(crate) const CREDENTIALS: u8 = 0x86;
    pub(crate) const NOT_AUTHORIZED: u8 = 0x87;
    pub(crate) const SHUTTING_DOWN: u8 = 0x8B;
    pub(crate) const AUTH_METHOD: u8 = 0x8C;
    pub(crate) const KEEP_ALIVE: u8 = 0x8D;
    pub(crate) const TAKEN_OVER: u8 = 0x8E;
    pub(crate) const FILTER_INVALID: u8 = 0x8F;
    pub(crate) const TOPIC_INVALID: u8 = 0x90;
    pub(crate) const NO_PACKET_ID: u8 = 0x92;
    pub(crate) const RECEIVE_MAXIMUM: u8 = 0x93;
    pub(crate) const ALIAS_INVALID: u8 = 0x94;
    pub(crate) const TOO_LARGE: u8 = 0x95;
    pub(crate) const QUOTA: u8 = 0x97;
}

/// What a client did wrong: the reason code that ends its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault(pub(crate) u8);

pub(crate) const MALFORMED: Fault = Fault(reason::MALFORMED);
pub(crate) const PROTOCOL: Fault = Fault(reason::PROTOCOL);

/// Reads a packet's body from the front.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All that is left.
    pub(crate) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], Fault> {
        let (head, tail) = self.0.split_at_checked(count).ok_or(MALFORMED)?;
        self.0 = tail;
        Ok(head)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, Fault> {
        let (first, rest) = self.0.split_first().ok_or(MALFORMED)?;
        self.0 = rest;
        Ok(*first)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, Fault> {
        let bytes = self.take(2)?;
        Ok(bytes.iter().fold(0, |value, byte| value << 8 | u16::from(*byte)))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, Fault> {
        let bytes = self.take(4)?;
        Ok(bytes.iter().fold(0, |value, byte| value << 8 | u32::from(*byte)))
    }

    /// A variable byte integer.
    pub(crate) fn variable(&mut self) -> Result<usize, Fault> {
        let mut value = 0;
        for shift in [0, 7, 14, 21] {
            let byte = self.u8()?;
            value |= usize::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(MALFORMED)
    }

    pub(crate) fn binary(&mut self) -> Result<&'a [u8], Fault> {
        let length = self.u16()?;
        self.take(usize::from(length))
    }

    /// A text: UTF-8 without U+0000.
    pub(crate) fn text(&mut self) -> Result<&'a str, Fault> {
        let text = std::str::from_utf8(self.binary()?).map_err(|_| MALFORMED)?;
        if text.as_bytes().contains(&0) { Err(MALFORMED) } else { Ok(text) }
    }

    /// The part that a length before it measures.
    pub(crate) fn section(&mut self) -> Result<Reader<'a>, Fault> {
        let length = self.variable()?;
        Ok(Reader(self.take(length)?))
    }
}

/// How many bytes the packet at the front has: of its header, and of its body. `None` as long as that cannot be told.
pub(crate) fn frame(bytes: &[u8]) -> Result<Option<(usize, usize)>, Fault> {
    let mut length = 0;
    for (index, byte) in bytes.iter().skip(1).take(4).enumerate() {
        length |= usize::from(byte & 0x7F) << (7 * index);
        if byte & 0x80 == 0 {
            return Ok(Some((index + 2, length)));
        }
    }
    if bytes.len() >= 5 { Err(MALFORMED) } else { Ok(None) }
}

pub(crate) fn put_variable(out: &mut BytesMut, mut value: usize) {
    loop {
        let low = (value & 0x7F) as u8;
        value >>= 7;
        if value == 0 {
            out.put_u8(low);
            return;
        }
        out.put_u8(low | 0x80);
    }
}

pub(crate) fn variable_len(value: usize) -> usize {
    match value {
        0..=0x7F => 1,
        0x80..=0x3FFF => 2,
        0x4000..=0x1F_FFFF => 3,
        _ => 4,
    }
}

/// Puts a text or binary value; what is longer than the format allows is cut. Nothing that long gets this far.
pub(crate) fn put_binary(out: &mut BytesMut, bytes: &[u8]) {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    out.put_u16(length);
    out.put_slice(bytes.get(..usize::from(length)).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn lengths_of_every_width_are_read_as_they_are_written() {
        for value in [0, 127, 128, 16_383, 16_384, 2_097_151, 2_097_152, 268_435_455] {
            let mut out = BytesMut::new();
            put_variable(&mut out, value);
            assert_eq!(out.len(), variable_len(value));
            assert_eq!(Reader::new(&out).variable().unwrap(), value);
        }
        assert_eq!(Reader::new(&[0xFF, 0xFF, 0xFF, 0xFF, 1]).variable(), Err(MALFORMED));
    }

    #[test]
    fn a_frame_is_known_once_its_length_is_there() {
        assert_eq!(frame(&[]), Ok(None));
        assert_eq!(frame(&[0x30, 0x80]), Ok(None));
        assert_eq!(frame(&[0x30, 0x80, 1]), Ok(Some((3, 128))));
        assert_eq!(frame(&[0x10, 0xFF, 0xFF, 0xFF, 0xFF]), Err(MALFORMED));
    }

    #[test]
    fn texts_are_checked() {
        assert_eq!(Reader::new(&[0, 2, b'o', b'k']).text(), Ok("ok"));
        for bad in [&[0, 3, b'o', b'k'][..], &[0, 2, 0xC3, 0x28], &[0, 1, 0]] {
            assert_eq!(Reader::new(bad).text(), Err(MALFORMED));
        }
    }
}
