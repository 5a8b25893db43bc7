//! The vocabulary of appending: what is asked, what is answered, why it is refused.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use compact_str::CompactString;

use crate::event::{EventId, NameError, NewEvent, StreamName};
use crate::position::Position;

/// What the version of a stream has to be for an append to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ExpectedVersion {
    /// Whatever it is. Telemetry uses this; it never conflicts.
    #[default]
    Any,
    /// The stream has no event yet.
    NoStream,
    /// The stream has at least one event.
    Exists,
    /// Exactly this version (0 is the same as [`ExpectedVersion::NoStream`]).
    Exact(u64),
}

impl ExpectedVersion {
    /// Whether a stream at `version` (0 when it has no event) meets the expectation.
    #[must_use]
    pub const fn is_met_by(self, version: u64) -> bool {
        match self {
            Self::Any => true,
            Self::NoStream => version == 0,
            Self::Exists => version > 0,
            Self::Exact(exact) => version == exact,
        }
    }
}

impl fmt::Display for ExpectedVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::NoStream => f.write_str("none"),
            Self::Exists => f.write_str("exists"),
            Self::Exact(version) => version.fmt(f),
        }
    }
}

/// A text that is not an expected version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is '{0}'; use any, none, exists or a whole number")]
pub struct ExpectedVersionError(pub String);

impl FromStr for ExpectedVersion {
    type Err = ExpectedVersionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.trim() {
            "" | "any" => Ok(Self::Any),
            "none" => Ok(Self::NoStream),
            "exists" => Ok(Self::Exists),
            number => number.parse().map(Self::Exact).map_err(|_| ExpectedVersionError(text.to_owned())),
        }
    }
}

/// Events for one stream, stored together or not at all.
#[derive(Debug, Clone, PartialEq)]
pub struct AppendRequest {
    /// Where they go.
    pub stream: StreamName,
    /// What has to be true of the stream.
    pub expected: ExpectedVersion,
    /// What happened, in order.
    pub events: Vec<NewEvent>,
}

impl AppendRequest {
    /// One event for a stream, whatever its version.
    #[must_use]
    pub fn one(stream: StreamName, event: NewEvent) -> Self {
        Self { stream, expected: ExpectedVersion::Any, events: vec![event] }
    }

    /// About how many bytes the request takes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.stream.as_str().len() * self.events.len() + self.events.iter().map(NewEvent::size).sum::<usize>()
    }
}

/// A durable value without a position: state that belongs to the runtime rather than to history, such as context,
/// timers and checkpoints. Only the last value of a key is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateChange {
    /// The key, at most [`StateChange::MAX_KEY`] bytes, such as `checkpoint/alarms`.
    pub key: CompactString,
    /// The new value; `None` removes the key.
    pub value: Option<Bytes>,
}

impl StateChange {
    /// The longest key, in bytes.
    pub const MAX_KEY: usize = 200;
}

/// Where events were stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Position of the first event.
    pub first_position: Position,
    /// Position of the last event.
    pub last_position: Position,
    /// Version of the stream after the last event.
    pub version: u64,
    /// Whether they had been stored before under the same ids; the numbers are those of that first time.
    pub deduplicated: bool,
}

/// Why nothing was stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The stream moved on.
    #[error("stream '{stream}' is at version {actual}, not {expected}; read it again and decide anew")]
    Conflict {
        /// Which stream.
        stream: StreamName,
        /// What was asked for.
        expected: ExpectedVersion,
        /// What it is (0 when the stream has no event).
        actual: u64,
    },
    /// The id belongs to another event.
    #[error("event id '{id}' is taken by another event at position {position}; give the new event an id of its own")]
    DuplicateId {
        /// The id.
        id: EventId,
        /// Where the other event stands (zero when it is part of the same request).
        position: Position,
    },
    /// Some events of the request were stored before, others were not.
    #[error(
        "event id '{id}' was stored at position {position}, but other events of the same request were not; \
         repeat a request as it was, or give the new events ids of their own"
    )]
    PartlyStored {
        /// An id that is stored.
        id: EventId,
        /// Where.
        position: Position,
    },
    /// More than one request may hold.
    #[error("the append has {size} bytes, the limit is {limit}; split it, or store the data elsewhere and refer to it")]
    TooLarge {
        /// How large it is.
        size: usize,
        /// How large it may be.
        limit: usize,
    },
    /// Too many events in one request.
    #[error("the append has {count} events, the limit is {limit}; split it")]
    TooMany {
        /// How many there are.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
    /// Nothing to store.
    #[error("the append has no events; give it at least one")]
    Empty,
    /// A name that cannot be used.
    #[error(transparent)]
    Name(#[from] NameError),
    /// An id that cannot be used.
    #[error("the event id '{0}' is empty, too long or has control characters; use 1 to 256 printable bytes")]
    InvalidId(String),
    /// A state key that cannot be used.
    #[error("the state key '{0}' is empty or longer than 200 bytes; shorten it")]
    InvalidKey(String),
    /// No room on disk; works again by itself when there is.
    #[error("the disk that holds the event log is full; free some space, appends then work again by themselves")]
    DiskFull,
    /// Too little room for events, though there is some left; works again by itself when there is more.
    #[error("the event log takes no events: {reason}")]
    NoRoom {
        /// Why, and what mends it.
        reason: String,
    },
    /// The data itself could not be put where it belongs.
    #[error("the event's data cannot be stored: {reason}")]
    Storage {
        /// Why.
        reason: String,
    },
    /// The data does not follow its schema.
    #[error("the data does not follow the schema {schema}: {problems}; mend the data, or register another version")]
    Schema {
        /// Which schema, such as `reading-reported/2`.
        schema: CompactString,
        /// What is wrong, as `path: text`, separated by `; `.
        problems: String,
    },
    /// The log does not take events.
    #[error("the event log is read-only: {reason}")]
    ReadOnly {
        /// Why, and what mends it.
        reason: String,
    },
    /// The log was closed while the append waited. Whether the events are stored is not known: repeat with ids.
    #[error("the event log was closed before the append was confirmed; repeat it with the same event ids")]
    Closed,
}

impl AppendError {
    /// Whether the same append may work later without change.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(
            self,
            Self::DiskFull | Self::NoRoom { .. } | Self::Storage { .. } | Self::ReadOnly { .. } | Self::Closed
        )
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn expectations_are_met_or_not() {
        use ExpectedVersion::{Any, Exact, Exists, NoStream};
        for (expected, met_by_0, met_by_3) in [
            (Any, true, true),
            (NoStream, true, false),
            (Exists, false, true),
            (Exact(3), false, true),
            (Exact(0), true, false),
        ] {
            assert_eq!((expected.is_met_by(0), expected.is_met_by(3)), (met_by_0, met_by_3), "{expected}");
            assert_eq!(expected.to_string().parse::<ExpectedVersion>().unwrap(), expected);
        }
    }
}
