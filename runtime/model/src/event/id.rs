//! Event ids.
//!
//! An id is 128 bits shown as a ULID, or the client's own text. This module draws no randomness: whoever makes
//! a new id brings it along.

use std::fmt;
use std::str::FromStr;

use compact_str::CompactString;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use ulid::Ulid;

/// The identity of an event. Repeating it makes an append harmless.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum EventId {
    /// 128 bits, shown as the 26 characters of a ULID.
    Bits(u128),
    /// A client's id of any other form, kept as it came.
    Text(CompactString),
}

impl EventId {
    /// The longest id that a client may bring, in bytes.
    pub const MAX_LEN: usize = 256;

    /// The id of an event that follows from another: the same cause, node path, output and index give the same
    /// id on every machine and in every version, so that repeating the step stores the event once.
    ///
    /// It is the first 128 bits of the SHA-256 of `tidewire.derived.1`, the cause, the path, and the two numbers
    /// in little-endian order, each text preceded by its length as a little-endian u32.
    #[must_use]
    pub fn derived(cause: &EventId, node_path: &str, output: u32, index: u32) -> Self {
        let cause = cause.to_compact();
        let mut hash = Sha256::new();
        for part in ["tidewire.derived.1", cause.as_str(), node_path] {
            hash.update(u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
            hash.update(part.as_bytes());
        }
        hash.update(output.to_le_bytes());
        hash.update(index.to_le_bytes());
        Self::Bits(first_128(&hash.finalize()))
    }

    /// A number of 128 bits that stands for the id in indexes: the bits themselves, or a hash of the text.
    /// Different ids may, very rarely, share a key; whoever looks up by key compares the id.
    #[must_use]
    pub fn key(&self) -> u128 {
        match self {
            Self::Bits(bits) => *bits,
            Self::Text(text) => first_128(&Sha256::digest(text.as_bytes())),
        }
    }

    /// The id as text.
    #[must_use]
    pub fn to_compact(&self) -> CompactString {
        match self {
            Self::Bits(bits) => {
                let mut buffer = [0; ulid::ULID_LEN];
                CompactString::from(&*Ulid(*bits).array_to_str(&mut buffer))
            }
            Self::Text(text) => text.clone(),
        }
    }
}

fn first_128(digest: &[u8]) -> u128 {
    digest.iter().take(16).fold(0, |bits, byte| bits << 8 | u128::from(*byte))
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bits(bits) => Ulid(*bits).fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
}

impl From<Ulid> for EventId {
    fn from(ulid: Ulid) -> Self {
        Self::Bits(ulid.0)
    }
}

impl From<&str> for EventId {
    /// The 26 capitals and digits of a ULID become bits, everything else stays text, so that the id is shown as
    /// it came.
    fn from(text: &str) -> Self {
        match Ulid::from_string(text) {
            Ok(ulid) if Self::from(ulid).to_compact() == text => Self::Bits(ulid.0),
            _ => Self::Text(CompactString::from(text)),
        }
    }
}

impl From<String> for EventId {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl FromStr for EventId {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self::from(text))
    }
}

impl Serialize for EventId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_compact())
    }
}

impl<'de> Deserialize<'de> for EventId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::from(CompactString::deserialize(deserializer)?.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_shown_as_they_came() {
        for text in ["01ARZ3NDEKTSV4RRFFQ69G5FAV", "01arz3ndektsv4rrffq69g5fav", "order-17", ""] {
            assert_eq!(EventId::from(text).to_string(), text);
        }
        assert!(matches!(EventId::from("01ARZ3NDEKTSV4RRFFQ69G5FAV"), EventId::Bits(_)));
    }

    #[test]
    fn derived_ids_never_change_and_differ_in_every_part() {
        let cause = EventId::from("01ARZ3NDEKTSV4RRFFQ69G5FAV");
        let id = EventId::derived(&cause, "tab/node", 0, 0);
        assert_eq!(id.to_string(), "4Z9TSAZ22BRGC5QW41JPMTD4XA");
        for other in [
            EventId::derived(&EventId::from("x"), "tab/node", 0, 0),
            EventId::derived(&cause, "tab/nod", 0, 0),
            EventId::derived(&cause, "tab/node", 1, 0),
            EventId::derived(&cause, "tab/node", 0, 1),
        ] {
            assert_ne!(id, other);
        }
    }
}
