//! An event as bytes: a postcard envelope with the payload untouched at its end.
//!
//! Reading an event copies neither payload nor parses it. A *frame* is an encoded event with its length and its
//! own CRC32C; journal records and store blocks hold the same frames.

mod fields;
mod writing;

use std::sync::Arc;

use bytes::Bytes;
use compact_str::CompactString;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tidewire_model::event::{Body, ContentRef, Event, EventId, Extensions, Raw, StoredBody, StreamName};
use tidewire_model::position::Position;

use fields::Fields;

/// Bytes of a frame before the encoded event.
pub(crate) const FRAME_HEAD: usize = 8;

/// Bytes that serde may borrow and writes in one piece.
#[derive(PartialEq)]
struct Slice<'a>(&'a [u8]);

impl Serialize for Slice<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Slice<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&'a [u8]>::deserialize(deserializer).map(Slice)
    }
}

#[derive(PartialEq, Serialize, Deserialize)]
struct RawEnvelope<'a> {
    topic: &'a str,
    retain: bool,
    qos: u8,
    #[serde(borrow)]
    payload: Slice<'a>,
    content: Option<Content>,
}

/// Bytes that lie in a file of their own.
#[derive(PartialEq, Serialize, Deserialize)]
struct Content {
    hash: [u8; 32],
    len: u64,
}

impl From<ContentRef> for Content {
    fn from(ContentRef { hash, len }: ContentRef) -> Self {
        Self { hash, len }
    }
}

impl From<Content> for ContentRef {
    fn from(Content { hash, len }: Content) -> Self {
        Self { hash, len }
    }
}

/// About how long the frame of an event is; seldom less.
pub(crate) fn frame_size(event: &Event) -> usize {
    let raw = event.raw.as_ref().map_or(0, |raw| raw.topic.len() + raw.payload.len());
    let names = event.source.len() + event.event_type.len() + event.stream.as_str().len();
    FRAME_HEAD + 160 + names + raw + event.data.len() + event.extensions.size()
}

/// Appends the frame of an event to a buffer.
pub(crate) fn write_frame(event: &Event, mut buffer: Vec<u8>) -> Vec<u8> {
    let start = buffer.len();
    buffer.extend_from_slice(&[0; FRAME_HEAD]);
    let stored = match &event.body {
        Body::Stored(stored) => **stored,
        _ => StoredBody::default(),
    };
    write_body(event, &stored, &mut buffer);
    let body = buffer.get(start + FRAME_HEAD..).unwrap_or_default();
    let (len, crc) = (u32::try_from(body.len()).unwrap_or(u32::MAX), crc32c::crc32c(body));
    if let Some(head) = buffer.get_mut(start..start + FRAME_HEAD) {
        let (len_bytes, crc_bytes) = head.split_at_mut(4);
        len_bytes.copy_from_slice(&len.to_le_bytes());
        crc_bytes.copy_from_slice(&crc.to_le_bytes());
    }
    buffer
}

/// Encodes an event; [`read_body`] reads the same fields.
fn write_body(event: &Event, stored: &StoredBody, buffer: &mut Vec<u8>) {
    writing::id(&event.id, buffer);
    writing::text(&event.source, buffer);
    writing::text(&event.event_type, buffer);
    writing::text(event.stream.as_str(), buffer);
    writing::number(event.position.get(), buffer);
    writing::number(event.version, buffer);
    writing::signed(event.recorded_time, buffer);
    // A small number for most.
    writing::signed(event.time.wrapping_sub(event.recorded_time), buffer);
    writing::optional(event.causation_id.as_ref(), writing::id, buffer);
    writing::optional(event.correlation_id.as_ref(), writing::id, buffer);
    for text in [&event.actor, &event.flow_rev, &event.node_id] {
        writing::optional(text.as_ref(), writing::text, buffer);
    }
    writing::text(&event.data_content_type, buffer);
    writing::optional(event.data_schema.as_ref(), writing::text, buffer);
    writing::optional(event.key_id.as_ref(), writing::text, buffer);
    let raw = event.raw.as_ref().map(|raw| RawEnvelope {
        topic: &raw.topic,
        retain: raw.retain,
        qos: raw.qos,
        payload: Slice(&raw.payload),
        content: stored.raw.map(Content::from),
    });
    writing::rare(&raw, buffer);
    writing::rare(&stored.data.map(Content::from), buffer);
    writing::rare(&event.extensions, buffer);
    writing::bytes(&event.data, buffer);
}

/// Splits the first frame off a run of frames; `None` when there is no whole one.
pub(crate) fn split_frame(frames: &mut Bytes) -> Option<Bytes> {
    let len = u32::from_le_bytes(*frames.first_chunk()?);
    let len = usize::try_from(len).ok()?.checked_add(FRAME_HEAD)?;
    (frames.len() >= len).then(|| frames.split_to(len))
}

/// Whether the checksum of a frame matches.
pub(crate) fn frame_is_whole(frame: &[u8]) -> bool {
    let crc = frame.get(4..FRAME_HEAD).and_then(|bytes| bytes.first_chunk()).copied().map(u32::from_le_bytes);
    crc == Some(crc32c::crc32c(frame.get(FRAME_HEAD..).unwrap_or_default()))
}

/// The stream and the id in a frame that may be damaged, as far as they can be read.
pub(crate) fn peek_frame(frame: &[u8]) -> Option<(StreamName, EventId)> {
    let mut fields = Fields(frame.get(FRAME_HEAD..)?);
    let id = fields.id().ok()?;
    let (_source, _event_type) = (fields.bytes().ok()?, fields.bytes().ok()?);
    Some((StreamName::reserved(fields.text().ok()?).ok()?, id))
}

/// Reads the event in a frame. Its payload shares the frame's memory.
///
/// # Errors
/// A text that says what is wrong with the frame.
pub(crate) fn read_frame(frame: &Bytes) -> Result<Arc<Event>, String> {
    if !frame_is_whole(frame) {
        return Err("the checksum of an event does not match".to_owned());
    }
    read_body(frame.get(FRAME_HEAD..).unwrap_or_default(), frame)
}

/// Reads the events in a run of frames whose checksum is known to match. Their payloads share its memory.
///
/// # Errors
/// A text that says what is wrong with a frame.
pub(crate) fn read_frames(frames: &Bytes, events: &mut Vec<Arc<Event>>) -> Result<(), String> {
    let mut rest: &[u8] = frames;
    while let Some(len) = rest.first_chunk().copied().map(u32::from_le_bytes) {
        let end = usize::try_from(len).ok().and_then(|len| len.checked_add(FRAME_HEAD));
        let body = end.and_then(|end| rest.get(FRAME_HEAD..end)).ok_or("an event is cut short")?;
        events.push(read_body(body, frames)?);
        rest = rest.get(FRAME_HEAD + body.len()..).unwrap_or_default();
    }
    Ok(())
}

/// Reads an encoded event that lies in `memory`.
fn read_body(body: &[u8], memory: &Bytes) -> Result<Arc<Event>, String> {
    let shared = |bytes: &[u8]| if bytes.is_empty() { Bytes::new() } else { memory.slice_ref(bytes) };
    let mut fields = Fields(body);
    let (id, source, event_type, stream) = (fields.id()?, fields.text()?, fields.text()?, fields.text()?);
    let stream = StreamName::reserved(stream).map_err(|error| error.to_string())?;
    let (position, version) = (fields.number()?, fields.number()?);
    let (recorded_time, time_offset) = (fields.signed()?, fields.signed()?);
    let (causation_id, correlation_id) = (fields.optional(Fields::id)?, fields.optional(Fields::id)?);
    let actor = fields.optional(Fields::text)?;
    let (flow_rev, node_id) = (fields.optional(Fields::text)?, fields.optional(Fields::text)?);
    let data_content_type = fields.content_type()?;
    let (data_schema, key_id) = (fields.optional(Fields::text)?, fields.optional(Fields::text)?);
    let raw: Option<RawEnvelope<'_>> = fields.rare()?;
    let content: Option<Content> = fields.rare()?;
    let extensions: Extensions = fields.rare()?;
    let data = shared(fields.bytes()?);
    let mut stored = StoredBody { data: content.map(ContentRef::from), raw: None };
    let raw = raw.map(|raw| {
        stored.raw = raw.content.map(ContentRef::from);
        Raw { topic: CompactString::from(raw.topic), retain: raw.retain, qos: raw.qos, payload: shared(raw.payload.0) }
    });
    let is_stored = key_id.is_some() || stored != StoredBody::default();
    Ok(Arc::new(Event {
        id,
        source,
        event_type,
        stream,
        time: recorded_time.wrapping_add(time_offset),
        position: Position::new(position),
        version,
        recorded_time,
        causation_id,
        correlation_id,
        actor,
        flow_rev,
        node_id,
        data,
        data_content_type,
        data_schema,
        raw,
        extensions,
        key_id,
        body: if is_stored { Body::Stored(Arc::new(stored)) } else { Body::Whole },
        upcast: None,
    }))
}

#[cfg(test)]
mod tests;
