//! Names of streams and event types, and what makes them valid.

use std::fmt;
use std::str::FromStr;

use compact_str::CompactString;
use serde::{Deserialize, Deserializer, Serialize};

/// A name that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing there.
    #[error("the {what} is empty; give it a name such as '{example}'")]
    Empty {
        /// Which name.
        what: &'static str,
        /// A good one.
        example: &'static str,
    },
    /// Longer than [`StreamName::MAX_LEN`].
    #[error("the {what} '{start}…' has {len} bytes; shorten it to {max} or fewer")]
    TooLong {
        /// Which name.
        what: &'static str,
        /// How it begins.
        start: String,
        /// How long it is.
        len: usize,
        /// How long it may be.
        max: usize,
    },
    /// Has a control character.
    #[error("the {what} '{name}' contains a control character; remove it")]
    ControlCharacter {
        /// Which name.
        what: &'static str,
        /// The name, escaped.
        name: String,
    },
    /// Starts with `$`.
    #[error("the stream '{0}' starts with '$', which is reserved for the log itself; choose another name")]
    Reserved(String),
}

/// The name of a stream: `<category>-<id>`, such as `thing-greenhouse-1`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct StreamName(CompactString);

impl StreamName {
    /// The longest name, in bytes.
    pub const MAX_LEN: usize = 512;

    /// A name that anyone may append to.
    ///
    /// # Errors
    /// When the name is empty, too long, has control characters or starts with the reserved `$`.
    pub fn new(name: impl Into<CompactString>) -> Result<Self, NameError> {
        let name = name.into();
        if name.starts_with('$') {
            return Err(NameError::Reserved(name.into()));
        }
        Self::reserved(name)
    }

    /// A name that may start with `$`, for the log's own streams and for reading.
    ///
    /// # Errors
    /// When the name is empty, too long or has control characters.
    pub fn reserved(name: impl Into<CompactString>) -> Result<Self, NameError> {
        let name = name.into();
        check("stream", "thing-greenhouse-1", Self::MAX_LEN, &name)?;
        Ok(Self(name))
    }

    /// The whole name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands before the first `-`, or the whole name when there is none.
    ///
    /// ```
    /// # use tidewire_model::event::StreamName;
    /// assert_eq!(StreamName::new("thing-greenhouse-1").unwrap().category(), "thing");
    /// ```
    #[must_use]
    pub fn category(&self) -> &str {
        category_of(&self.0)
    }
}

/// The category of a stream name given as text.
#[must_use]
pub fn category_of(stream: &str) -> &str {
    let end = stream.bytes().position(|byte| byte == b'-').unwrap_or(stream.len());
    stream.get(..end).unwrap_or(stream)
}

/// Checks the name of an event type.
///
/// # Errors
/// When the name is empty, longer than 256 bytes or has control characters.
pub fn check_event_type(name: &str) -> Result<(), NameError> {
    check("event type", "reading-reported", 256, name)
}

fn check(what: &'static str, example: &'static str, max: usize, name: &str) -> Result<(), NameError> {
    if name.is_empty() {
        return Err(NameError::Empty { what, example });
    }
    if name.len() > max {
        let start = name.chars().take(40).collect();
        return Err(NameError::TooLong { what, start, len: name.len(), max });
    }
    let is_plain = name.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    if !is_plain && name.chars().any(char::is_control) {
        return Err(NameError::ControlCharacter { what, name: name.escape_debug().to_string() });
    }
    Ok(())
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl AsRef<str> for StreamName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for StreamName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl FromStr for StreamName {
    type Err = NameError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::new(name)
    }
}

impl TryFrom<&str> for StreamName {
    type Error = NameError;

    fn try_from(name: &str) -> Result<Self, Self::Error> {
        Self::new(name)
    }
}

impl<'de> Deserialize<'de> for StreamName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::reserved(CompactString::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_category_ends_at_the_first_dash() {
        assert_eq!(StreamName::new("thing-a-b").unwrap().category(), "thing");
        assert_eq!(StreamName::new("lonely").unwrap().category(), "lonely");
    }

    #[test]
    fn unusable_names_are_refused_with_a_way_out() {
        assert!(StreamName::new("").unwrap_err().to_string().contains("thing-greenhouse-1"));
        assert!(StreamName::new("$sub-x").unwrap_err().to_string().contains("reserved"));
        assert!(StreamName::reserved("$sub-x").is_ok());
        assert!(StreamName::new("thing-\n").unwrap_err().to_string().contains("control character"));
        assert!(StreamName::new("x".repeat(513)).unwrap_err().to_string().contains("512"));
        assert!(check_event_type("").is_err());
    }
}
