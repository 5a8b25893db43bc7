//! Events: recorded facts, and the proposals they are made from.
//!
//! Attribute names follow CloudEvents 1.0 with Tidewire's extensions. Reading and writing JSON is in
//! [`json`]; how events are stored is the business of the log, not of this module.

pub mod body;
pub mod extensions;
pub mod id;
pub mod json;
mod rules;
pub mod stream;
pub mod time;
pub mod value;

use bytes::Bytes;
use compact_str::CompactString;
use serde::{Deserialize, Serialize};

pub use body::{Body, ContentRef, StoredBody, Upcast};
pub use extensions::{Extension, ExtensionValue, Extensions};
pub use id::EventId;
pub use stream::{NameError, StreamName, check_event_type};

use crate::position::Position;

/// The content type of JSON data.
pub const JSON: &str = "application/json";
/// The content type of plain text.
pub const TEXT: &str = "text/plain";
/// The content type of bytes of unknown meaning.
pub const BINARY: &str = "application/octet-stream";

/// A recorded fact, never changed. Share it as `Arc<Event>`; a clone copies pointers and short names only.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Unique within the log (`id`).
    pub id: EventId,
    /// Who said so, such as `/flow/3f2a/node/91bc` (`source`).
    pub source: CompactString,
    /// What happened, in the past tense (`type`).
    pub event_type: CompactString,
    /// The stream it belongs to (`subject`).
    pub stream: StreamName,
    /// The source's own time in milliseconds since 1970; never used for ordering (`time`).
    pub time: i64,
    /// Place in the whole log (`position`).
    pub position: Position,
    /// Number within the stream, from 1 (`version`).
    pub version: u64,
    /// The log's time in milliseconds since 1970; never runs back along positions (`recordedtime`).
    pub recorded_time: i64,
    /// The event or command that led to this one (`causationid`).
    pub causation_id: Option<EventId>,
    /// What the whole chain has in common (`correlationid`).
    pub correlation_id: Option<EventId>,
    /// The user, thing or rule that acted (`actor`).
    pub actor: Option<CompactString>,
    /// The flow revision in force (`flowrev`).
    pub flow_rev: Option<CompactString>,
    /// The node that appended it (`nodeid`).
    pub node_id: Option<CompactString>,
    /// The data in its original bytes (`data`).
    pub data: Bytes,
    /// What the bytes of `data` are (`datacontenttype`).
    pub data_content_type: CompactString,
    /// The schema that the data follows, such as `reading-reported/2` (`dataschema`).
    pub data_schema: Option<CompactString>,
    /// What came in, so that history can be decoded again (`raw`).
    pub raw: Option<Raw>,
    /// What else its source says of it, under names of its own.
    pub extensions: Extensions,
    /// The key that data and raw payload are stored under, when the stream holds personal data (`keyid`).
    pub key_id: Option<CompactString>,
    /// What became of the data.
    pub body: Body,
    /// Whether the data was brought into the form of a later schema.
    pub upcast: Option<Upcast>,
}

/// The message from outside that an event was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Raw {
    /// The topic it came in on.
    pub topic: CompactString,
    /// Whether the broker had kept it.
    pub retain: bool,
    /// The quality of service it came in with.
    pub qos: u8,
    /// The untouched payload.
    pub payload: Bytes,
}

/// A proposed event: what the log needs to know before it assigns position, version and recorded time.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    /// The id, if the proposer has one; the log makes one otherwise. Repeating an id returns the first result.
    pub id: Option<EventId>,
    /// See [`Event::source`].
    pub source: CompactString,
    /// See [`Event::event_type`].
    pub event_type: CompactString,
    /// The source's own time in milliseconds; the recorded time when absent.
    pub time: Option<i64>,
    /// See [`Event::causation_id`].
    pub causation_id: Option<EventId>,
    /// See [`Event::correlation_id`].
    pub correlation_id: Option<EventId>,
    /// See [`Event::actor`].
    pub actor: Option<CompactString>,
    /// See [`Event::flow_rev`].
    pub flow_rev: Option<CompactString>,
    /// See [`Event::node_id`].
    pub node_id: Option<CompactString>,
    /// See [`Event::data`].
    pub data: Bytes,
    /// See [`Event::data_content_type`].
    pub data_content_type: CompactString,
    /// See [`Event::data_schema`].
    pub data_schema: Option<CompactString>,
    /// See [`Event::raw`].
    pub raw: Option<Raw>,
    /// See [`Event::extensions`].
    pub extensions: Extensions,
    /// See [`Event::key_id`]. The log sets it.
    pub key_id: Option<CompactString>,
    /// See [`Event::body`]. The log sets it.
    pub body: Body,
}

/// Where the log puts an event.
#[derive(Debug, Clone, PartialEq)]
pub struct Place {
    /// See [`Event::stream`].
    pub stream: StreamName,
    /// See [`Event::position`].
    pub position: Position,
    /// See [`Event::version`].
    pub version: u64,
    /// See [`Event::recorded_time`].
    pub recorded_time: i64,
}

impl NewEvent {
    /// A proposal with data of a content type and nothing else.
    pub fn new(event_type: impl Into<CompactString>, content_type: &str, data: impl Into<Bytes>) -> Self {
        Self {
            id: None,
            source: CompactString::const_new("/"),
            event_type: event_type.into(),
            time: None,
            causation_id: None,
            correlation_id: None,
            actor: None,
            flow_rev: None,
            node_id: None,
            data: data.into(),
            data_content_type: CompactString::from(content_type),
            data_schema: None,
            raw: None,
            extensions: Extensions::NONE,
            key_id: None,
            body: Body::Whole,
        }
    }

    /// A proposal whose data is a JSON value.
    ///
    /// ```
    /// # use tidewire_model::event::NewEvent;
    /// let event = NewEvent::json("reading-reported", &serde_json::json!({"celsius": 21.5}));
    /// assert_eq!(event.data.as_ref(), br#"{"celsius":21.5}"#);
    /// ```
    pub fn json(event_type: impl Into<CompactString>, data: &serde_json::Value) -> Self {
        Self::new(event_type, JSON, data.to_string().into_bytes())
    }

    /// The same proposal with an id.
    #[must_use]
    pub fn with_id(mut self, id: impl Into<EventId>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// The same proposal with a source.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<CompactString>) -> Self {
        self.source = source.into();
        self
    }

    /// The same proposal, caused by another event and in its chain.
    #[must_use]
    pub fn caused_by(mut self, cause: &Event) -> Self {
        self.causation_id = Some(cause.id.clone());
        self.correlation_id = Some(cause.correlation_id.clone().unwrap_or_else(|| cause.id.clone()));
        self
    }

    /// The event that comes of it at a place. `id` counts when the proposal has none.
    #[must_use]
    pub fn record(self, id: impl FnOnce() -> EventId, place: Place) -> Event {
        Event {
            id: self.id.unwrap_or_else(id),
            source: self.source,
            event_type: self.event_type,
            stream: place.stream,
            time: self.time.unwrap_or(place.recorded_time),
            position: place.position,
            version: place.version,
            recorded_time: place.recorded_time,
            causation_id: self.causation_id,
            correlation_id: self.correlation_id,
            actor: self.actor,
            flow_rev: self.flow_rev,
            node_id: self.node_id,
            data: self.data,
            data_content_type: self.data_content_type,
            data_schema: self.data_schema,
            raw: self.raw,
            extensions: self.extensions,
            key_id: self.key_id,
            body: self.body,
            upcast: None,
        }
    }

    /// About how many bytes the event takes in memory and on disk.
    #[must_use]
    pub fn size(&self) -> usize {
        let raw = self.raw.as_ref().map_or(0, |raw| raw.topic.len() + raw.payload.len() + 8);
        self.data.len() + raw + self.source.len() + self.event_type.len() + self.extensions.size() + 96
    }
}

impl Event {
    /// Whether the data is JSON, judged by its content type.
    #[must_use]
    pub fn is_json(&self) -> bool {
        is_json_type(&self.data_content_type)
    }

    /// The data as a JSON value, when it is JSON.
    ///
    /// # Errors
    /// When the bytes are not valid JSON.
    pub fn data_json(&self) -> Result<serde_json::Value, serde_json::Error> {
        serde_json::from_slice(&self.data)
    }

    /// Whether a proposal says the same as this event: same stream, type, content type and data.
    ///
    /// This decides between "stored before" and "another event with the same id". Both are in the form in which
    /// the log stores them. What is stored under another key cannot be compared: there the id decides.
    #[must_use]
    pub fn says_the_same(&self, stream: &StreamName, proposal: &NewEvent) -> bool {
        let content = |body: &Body| match body {
            Body::Stored(stored) => stored.data,
            _ => None,
        };
        self.stream == *stream
            && self.event_type == proposal.event_type
            && self.data_content_type == proposal.data_content_type
            && (self.key_id != proposal.key_id
                || self.data == proposal.data && content(&self.body) == content(&proposal.body))
    }

    /// Whether the data was erased on purpose.
    #[must_use]
    pub const fn is_erased(&self) -> bool {
        matches!(self.body, Body::Erased)
    }

    /// The event in the form in which it was appended, before it was brought into that of a later schema.
    #[must_use]
    pub fn as_stored(&self) -> &Self {
        match &self.upcast {
            Some(Upcast::From(stored)) => stored,
            _ => self,
        }
    }

    /// About how many bytes the event takes in memory.
    #[must_use]
    pub fn size(&self) -> usize {
        let raw = self.raw.as_ref().map_or(0, |raw| raw.topic.len() + raw.payload.len());
        size_of::<Self>() + self.data.len() + raw + self.extensions.size()
    }
}

/// Whether a content type means JSON (`application/json`, `…+json`).
#[must_use]
pub fn is_json_type(content_type: &str) -> bool {
    if content_type == JSON {
        return true;
    }
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case(JSON)
        || essence.len() > 5 && essence.get(essence.len() - 5..).is_some_and(|end| end.eq_ignore_ascii_case("+json"))
}
