//! The fields of an encoded event, one after the other, as postcard writes them.
//!
//! By hand, because every event that is read comes this way: a derived reader takes several times as long. What events
//! rarely have is left to postcard.

use compact_str::CompactString;
use serde::Deserialize;
use tidewire_model::event::{EventId, JSON};

/// What can be wrong with the bytes.
const SHORT: &str = "an event cannot be decoded: it is cut short";
const BAD: &str = "an event cannot be decoded: it holds what no event can hold";

/// The fields that are left.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    fn byte(&mut self) -> Result<u8, &'static str> {
        let (byte, rest) = self.0.split_first().ok_or(SHORT)?;
        self.0 = rest;
        Ok(*byte)
    }

    pub(super) fn number(&mut self) -> Result<u64, &'static str> {
        let first = self.byte()?;
        if first < 0x80 {
            return Ok(u64::from(first));
        }
        let mut number = u64::from(first & 0x7f);
        for shift in (7..64).step_by(7) {
            let byte = self.byte()?;
            if shift == 63 && byte > 1 {
                return Err(BAD);
            }
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(BAD)
    }

    pub(super) fn signed(&mut self) -> Result<i64, &'static str> {
        let number = self.number()?;
        Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    pub(super) fn bytes(&mut self) -> Result<&'a [u8], &'static str> {
        let len = usize::try_from(self.number()?).map_err(|_| SHORT)?;
        let (bytes, rest) = self.0.split_at_checked(len).ok_or(SHORT)?;
        self.0 = rest;
        Ok(bytes)
    }

    pub(super) fn text(&mut self) -> Result<CompactString, &'static str> {
        CompactString::from_utf8(self.bytes()?).map_err(|_| BAD)
    }

    pub(super) fn content_type(&mut self) -> Result<CompactString, &'static str> {
        let bytes = self.bytes()?;
        if bytes == JSON.as_bytes() {
            return Ok(CompactString::const_new(JSON));
        }
        CompactString::from_utf8(bytes).map_err(|_| BAD)
    }

    pub(super) fn id(&mut self) -> Result<EventId, &'static str> {
        match self.byte()? {
            0 => {
                let (bits, rest) = self.0.split_first_chunk().ok_or(SHORT)?;
                self.0 = rest;
                Ok(EventId::Bits(u128::from_be_bytes(*bits)))
            }
            1 => self.text().map(EventId::Text),
            _ => Err(BAD),
        }
    }

    pub(super) fn optional<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, &'static str>,
    ) -> Result<Option<T>, &'static str> {
        match self.byte()? {
            0 => Ok(None),
            1 => read(self).map(Some),
            _ => Err(BAD),
        }
    }

    /// What is not worth a reader of its own. One byte 0 is how it says that there is nothing.
    pub(super) fn rare<T: Deserialize<'a> + Default>(&mut self) -> Result<T, &'static str> {
        if let Some((0, rest)) = self.0.split_first() {
            self.0 = rest;
            return Ok(T::default());
        }
        let (value, rest) = postcard::take_from_bytes(self.0).map_err(|_| BAD)?;
        self.0 = rest;
        Ok(value)
    }
}
