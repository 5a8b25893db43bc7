//! The vocabulary of reading: which events, from where, in which direction.

use std::fmt;
use std::sync::Arc;

use compact_str::CompactString;
use serde::{Deserialize, Serialize, Serializer};

use crate::event::stream::category_of;
use crate::event::time::Point;
use crate::event::{Event, EventId, StreamName};
use crate::position::Position;

/// Which events. Everything that is set has to hold; an empty filter takes every event.
/// It can be written down, as part of a definition, but not read back: a condition has to be compiled.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Filter {
    /// The stream: exact, or with `*` for any run of characters, such as `thing-greenhouse-*`.
    pub stream: Option<CompactString>,
    /// The category: what stands before the first `-` of the stream. A trailing `-` is allowed.
    pub category: Option<CompactString>,
    /// The event types; empty means all. Each may contain `*`.
    pub event_types: Vec<CompactString>,
    /// Recorded at or after this time, in milliseconds since 1970.
    pub from_time: Option<i64>,
    /// Recorded before this time, in milliseconds since 1970.
    pub to_time: Option<i64>,
    /// The correlation id.
    pub correlation_id: Option<EventId>,
    /// The event or command that led to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub causation_id: Option<EventId>,
    /// A text that occurs in the stream, the type or the data; letter case does not matter.
    pub text: Option<CompactString>,
    /// A condition on the event and its data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matching: Option<Condition>,
}

/// A condition that is more than names and times. What it is written in is not this crate's business.
pub trait EventPredicate: Send + Sync {
    /// Its text: conditions of the same text are the same.
    fn text(&self) -> &str;

    /// Whether it holds. An event on which it fails does not match, and is counted.
    fn holds(&self, event: &Event) -> bool;

    /// On how many events it failed so far.
    fn failures(&self) -> u64;

    /// What went wrong with the last of them.
    fn last_failure(&self) -> Option<String>;
}

/// A compiled condition.
#[derive(Clone)]
pub struct Condition(pub Arc<dyn EventPredicate>);

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Condition").field(&self.0.text()).finish()
    }
}

impl PartialEq for Condition {
    fn eq(&self, other: &Self) -> bool {
        self.0.text() == other.0.text()
    }
}

impl Eq for Condition {}

impl Serialize for Condition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.text())
    }
}

impl Filter {
    /// The events of one stream.
    pub fn stream(stream: impl Into<CompactString>) -> Self {
        Self { stream: Some(stream.into()), ..Self::default() }
    }

    /// The events of one category.
    pub fn category(category: impl Into<CompactString>) -> Self {
        Self { category: Some(category.into()), ..Self::default() }
    }

    /// The events of some types.
    pub fn types<T: Into<CompactString>>(types: impl IntoIterator<Item = T>) -> Self {
        Self { event_types: types.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// The category without a trailing `-`.
    #[must_use]
    pub fn category_name(&self) -> Option<&str> {
        self.category.as_deref().map(|category| category.strip_suffix('-').unwrap_or(category))
    }

    /// Whether an event is one of those meant.
    #[must_use]
    pub fn matches(&self, event: &Event) -> bool {
        self.matches_envelope(event) && self.matches_data(event)
    }

    /// Whether events of a stream can be among those meant.
    #[must_use]
    pub fn may_find(&self, stream: &StreamName) -> bool {
        self.stream.as_ref().is_none_or(|pattern| wildcard_matches(pattern, stream.as_str()))
            && self.category_name().is_none_or(|category| stream.category() == category)
    }

    /// Whether events of a type in a category can be among those meant.
    #[must_use]
    pub fn may_find_group(&self, category: &str, event_type: &str) -> bool {
        // What is known of a stream is its beginning, up to the first wildcard.
        let in_stream = |pattern: &CompactString| {
            let start = pattern.split('*').next().unwrap_or_default();
            let ends = !has_wildcard(pattern) || start.contains('-');
            if ends { category_of(start) == category } else { category.starts_with(start) }
        };
        self.category_name().is_none_or(|wanted| wanted == category)
            && self.stream.as_ref().is_none_or(in_stream)
            && (self.event_types.is_empty()
                || self.event_types.iter().any(|pattern| wildcard_matches(pattern, event_type)))
    }

    /// Whether the envelope of an event is that of one of those meant; its data need not be there.
    #[must_use]
    pub fn matches_envelope(&self, event: &Event) -> bool {
        self.stream.as_ref().is_none_or(|pattern| wildcard_matches(pattern, event.stream.as_str()))
            && self.category_name().is_none_or(|category| category_of(event.stream.as_str()) == category)
            && (self.event_types.is_empty()
                || self.event_types.iter().any(|pattern| wildcard_matches(pattern, &event.event_type)))
            && self.from_time.is_none_or(|from| event.recorded_time >= from)
            && self.to_time.is_none_or(|to| event.recorded_time < to)
            && self.correlation_id.as_ref().is_none_or(|id| event.correlation_id.as_ref() == Some(id))
            && self.causation_id.as_ref().is_none_or(|id| event.causation_id.as_ref() == Some(id))
    }

    /// Whether it takes an event's data to say whether it is one of those meant.
    #[must_use]
    pub const fn needs_data(&self) -> bool {
        self.text.is_some() || self.matching.is_some()
    }

    /// Whether an event whose envelope fits is one of those meant, judged by its data.
    #[must_use]
    pub fn matches_data(&self, event: &Event) -> bool {
        self.text.as_ref().is_none_or(|text| contains_text(event, text))
            && self.matching.as_ref().is_none_or(|condition| condition.0.holds(event))
    }
}

fn contains_text(event: &Event, text: &str) -> bool {
    let within = |bytes: &[u8]| contains_ignoring_case(bytes, text.as_bytes());
    within(event.stream.as_str().as_bytes()) || within(event.event_type.as_bytes()) || within(&event.data)
}

fn contains_ignoring_case(within: &[u8], text: &[u8]) -> bool {
    text.is_empty() || within.windows(text.len()).any(|window| window.eq_ignore_ascii_case(text))
}

/// Whether a text contains the wildcard `*`.
#[must_use]
pub fn has_wildcard(pattern: &str) -> bool {
    pattern.contains('*')
}

/// Whether `text` matches `pattern`, in which `*` stands for any run of characters.
#[must_use]
pub fn wildcard_matches(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut text) = text.strip_prefix(start) else { return false };
    let (middle, end) = rest.rsplit_once('*').unwrap_or(("", rest));
    for part in middle.split('*').filter(|part| !part.is_empty()) {
        let Some(found) = text.find(part) else { return false };
        text = text.get(found + part.len()..).unwrap_or_default();
    }
    text.ends_with(end)
}

/// Which way to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Oldest first.
    #[default]
    Forwards,
    /// Newest first.
    Backwards,
}

/// One page of reading.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    /// Which events.
    pub filter: Filter,
    /// Where to begin, inclusive. Forwards, zero is the beginning; backwards, zero is the end.
    pub from: Position,
    /// Which way.
    pub direction: Direction,
    /// How many events at most; the log caps it at [`Query::MAX_LIMIT`].
    pub limit: usize,
}

impl Query {
    /// The most events a page can hold.
    pub const MAX_LIMIT: usize = 10_000;

    /// The oldest events first, from a position on.
    #[must_use]
    pub const fn forwards(filter: Filter, from: Position, limit: usize) -> Self {
        Self { filter, from, direction: Direction::Forwards, limit }
    }

    /// The newest events first.
    #[must_use]
    pub const fn backwards(filter: Filter, limit: usize) -> Self {
        Self { filter, from: Position::ZERO, direction: Direction::Backwards, limit }
    }
}

/// What a query found.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Page {
    /// The events, in the direction that was asked for.
    pub events: Vec<Arc<Event>>,
    /// Where to go on reading (the `from` of the next query), or `None` when there is nothing further.
    pub next: Option<Position>,
    /// The head of the log when the page was read: every event up to here was considered or lies on a later page.
    pub head: Position,
}

/// Where a subscription begins.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Start {
    /// The first event.
    Beginning,
    /// This position, inclusive.
    Position(Position),
    /// The first event recorded at or after this time, in milliseconds since 1970.
    Time(i64),
    /// Only what is appended from now on.
    #[default]
    Now,
    /// After the position stored under this name; at the beginning when there is none.
    Checkpoint(CompactString),
}

impl From<Point> for Start {
    fn from(point: Point) -> Self {
        match point {
            Point::Position(position) => Self::Position(position),
            Point::Time(time) => Self::Time(time),
        }
    }
}

/// The state of one stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StreamHead {
    /// Its name.
    pub stream: crate::event::StreamName,
    /// The number of its last event; 0 when it has none.
    pub version: u64,
    /// The position of its last event.
    pub position: Position,
    /// When its last event was recorded, in milliseconds since 1970.
    pub recorded_time: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_that_may_be_found() {
        let stream = |pattern: &str| Filter::stream(pattern);
        for (filter, expected) in [
            (Filter::default(), true),
            (Filter::category("thing-"), true),
            (Filter::category("things"), false),
            (Filter::types(["reading-*"]), true),
            (Filter::types(["moved"]), false),
            (stream("thing-1"), true),
            (stream("thing*"), true),
            (stream("th*-1"), true),
            (stream("*"), true),
            (stream("thing-*"), true),
            (stream("rule-*"), false),
            (stream("thing"), true),
            (stream("r*"), false),
        ] {
            assert_eq!(filter.may_find_group("thing", "reading-reported"), expected, "{filter:?}");
        }
    }

    #[test]
    fn wildcards() {
        for (pattern, text, expected) in [
            ("thing-1", "thing-1", true),
            ("thing-1", "thing-10", false),
            ("thing-*", "thing-1", true),
            ("*-1", "thing-1", true),
            ("*", "", true),
            ("a*b*c", "a-b-c", true),
            ("a*b*c", "ac", false),
            ("ab*ba", "aba", false),
            ("*green*", "thing-greenhouse", true),
            ("", "x", false),
        ] {
            assert_eq!(wildcard_matches(pattern, text), expected, "{pattern} {text}");
        }
    }
}
