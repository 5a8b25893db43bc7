//! Ids, events and messages of outbox entries.

use std::sync::Arc;

use compact_str::{CompactString, format_compact};
use serde_json::Value as Json;
use tidewire_model::append::AppendRequest;
use tidewire_model::event::{Event, EventId, NewEvent, StreamName};
use tidewire_model::message::Provenance;
use tidewire_model::{Map, Message, Value};
use tidewire_node_api::{Ctx, NodeError};

/// The id of the entry that a message asks for. A message made from events gives the same id each time, so that one
/// that comes again after a crash acts once; `content` tells several wishes from the same events apart. Without a cause
/// every message is a wish of its own. `given` is what the message itself says.
pub(crate) fn entry_id(message: &Message, content: &[&str], given: Option<&str>, ctx: &Ctx<'_>) -> CompactString {
    if let Some(id) = given.map(str::trim).filter(|id| !id.is_empty() && id.len() <= 128) {
        return CompactString::new(id);
    }
    let causes = message.provenance().map(|provenance| provenance.causes.as_slice()).unwrap_or_default();
    if causes.is_empty() {
        return new_id(ctx).to_compact();
    }
    let mut path = ctx.facts().id.to_string();
    for part in content {
        path.push('\0');
        path.push_str(part);
    }
    EventId::derived(&EventId::from(causes.join("\0")), &path, 0, 0).to_compact()
}

/// A ULID from the injected clock and randomness.
fn new_id(ctx: &Ctx<'_>) -> EventId {
    let random = u128::from(ctx.random()) << 64 | u128::from(ctx.random());
    EventId::from(ulid::Ulid::from_parts(u64::try_from(ctx.now_ms()).unwrap_or(0), random))
}

/// What an entry follows from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Cause {
    /// The event that asked for it; none until that is known.
    pub(crate) causation: Option<EventId>,
    pub(crate) correlation: Option<EventId>,
}

impl Cause {
    pub(crate) fn of_message(message: &Message) -> Self {
        let Some(provenance) = message.provenance() else { return Cause::default() };
        let first = provenance.causes.first().map(|id| EventId::from(id.as_str()));
        let correlation = provenance.correlation.as_deref().map(EventId::from).or_else(|| first.clone());
        Cause { causation: first, correlation }
    }

    /// What follows from the event that recorded the wish.
    pub(crate) fn of_request(id: EventId, correlation: Option<EventId>) -> Self {
        Cause { correlation: Some(correlation.unwrap_or_else(|| id.clone())), causation: Some(id) }
    }
}

/// An event about an entry, ready to be appended.
pub(crate) struct Recorded {
    pub(crate) id: EventId,
    pub(crate) append: AppendRequest,
}

impl Recorded {
    /// `number` tells events of the same kind apart, such as attempts; repeating one stores it once.
    ///
    /// # Errors
    /// The entry's id makes no stream name.
    pub(crate) fn new(
        (category, entry): (&str, &str),
        (kind, number): (&str, u32),
        data: &Json,
        cause: &Cause,
        ctx: &Ctx<'_>,
    ) -> Result<Recorded, NodeError> {
        let stream = StreamName::new(format_compact!("{category}-{entry}"))
            .map_err(|error| NodeError::new(format!("the id \"{entry}\" cannot be used: {error}")))?;
        let id = EventId::derived(&EventId::from(entry), &format!("{category}.{kind}"), 0, number);
        let facts = ctx.facts();
        let mut event = NewEvent::json(format_compact!("tidewire.{category}.{kind}"), data)
            .with_id(id.clone())
            .with_source(format_compact!("/flow/{}/node/{}", facts.flow, facts.id));
        event.time = Some(ctx.now_ms());
        event.node_id = Some(CompactString::new(facts.id.as_str()));
        event.flow_rev = Some(format_compact!("{}", ctx.revision()));
        event.causation_id.clone_from(&cause.causation);
        event.correlation_id.clone_from(&cause.correlation);
        Ok(Recorded { id, append: AppendRequest::one(stream, event) })
    }

    /// The same event with other data.
    pub(crate) fn with_data(mut self, data: &Json) -> Self {
        for event in &mut self.append.events {
            event.data = data.to_string().into_bytes().into();
        }
        self
    }
}

/// A message about what became of an entry: the one that asked for it, if it is still known, with `property` added.
pub(crate) fn outcome_message(
    asked: Option<&Message>,
    property: &str,
    outcome: &Json,
    event: &EventId,
    cause: &Cause,
    ctx: &Ctx<'_>,
) -> Message {
    let mut message = match asked {
        Some(message) => message.clone(),
        None => Message::new(ctx.next_id(), Map::new()),
    };
    if asked.is_none() {
        message.set_payload(Value::from(outcome));
    }
    message.set(property, Value::from(outcome));
    message.set_provenance(Arc::new(Provenance {
        causes: vec![event.to_string()],
        correlation: cause.correlation.as_ref().map(ToString::to_string),
        command: (property == "command")
            .then(|| outcome.get("id").and_then(Json::as_str).unwrap_or_default().to_owned()),
        ingest: None,
    }));
    message
}

/// A text in the data of an event.
pub(crate) fn event_text<'d>(data: &'d Json, key: &str) -> Option<&'d str> {
    data.get(key).and_then(Json::as_str)
}

/// A whole number in the data of an event.
pub(crate) fn event_number(data: &Json, key: &str) -> Option<i64> {
    data.get(key).and_then(|value| value.as_i64().or_else(|| value.as_f64().map(|number| number as i64)))
}

/// The part of an event's type after the category, such as `sent`.
pub(super) fn kind_of<'e>(event: &'e Event, category: &str) -> Option<&'e str> {
    event.event_type.strip_prefix("tidewire.")?.strip_prefix(category)?.strip_prefix('.')
}
