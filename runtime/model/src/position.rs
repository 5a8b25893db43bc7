//! Places in the event log.
//!
//! Pure numbers: nothing here knows how or where events are stored.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A place in the whole log: gapless, from 1, never reused and never renumbered.
///
/// Zero means "before the first event", which is where a reader that has seen nothing stands.
/// Invariant: below 2^53, so that a position survives a trip through JavaScript.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Position(u64);

impl Position {
    /// Before the first event.
    pub const ZERO: Position = Position(0);
    /// The first event of a log.
    pub const FIRST: Position = Position(1);
    /// The largest position.
    pub const MAX: Position = Position((1 << 53) - 1);

    /// A position from its number; numbers beyond [`Position::MAX`] are taken as the largest.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        if number > Self::MAX.0 { Self::MAX } else { Self(number) }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The position right after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self::new(self.0.saturating_add(1))
    }

    /// The position right before this one; zero stays zero.
    #[must_use]
    pub const fn previous(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<Position> for u64 {
    fn from(position: Position) -> Self {
        position.0
    }
}

/// A text that is not a position.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a position; use a whole number from 0 to 9007199254740991")]
pub struct PositionError(pub String);

impl FromStr for Position {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse::<u64>() {
            Ok(number) if number <= Self::MAX.0 => Ok(Self(number)),
            _ => Err(PositionError(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn positions_parse_and_stay_within_what_javascript_can_hold() {
        assert_eq!("42".parse::<Position>().unwrap().get(), 42);
        assert!("-1".parse::<Position>().is_err());
        assert!("9007199254740992".parse::<Position>().is_err());
        assert_eq!(Position::new(u64::MAX), Position::MAX);
        assert_eq!(Position::ZERO.next(), Position::FIRST);
        assert_eq!(Position::ZERO.previous(), Position::ZERO);
    }
}
