//! What becomes of the messages of one append.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use compact_str::CompactString;
use tidewire_model::append::{AppendError, AppendRequest, Appended};
use tidewire_model::event::{EventId, StreamName};
use tidewire_model::message::Provenance;
use tidewire_model::{Map, Message, Value};
use tidewire_node_api::{Deferred, Delivery, Emission, Feed, Outcome, Signal};

const STORED: usize = 0;
const REJECTED: usize = 1;

/// A message whose append is under way.
pub(super) struct Pending {
    message: Message,
    deferred: Deferred,
    id: EventId,
    stream: StreamName,
    event_type: CompactString,
}

impl Pending {
    pub(super) fn new(message: Message, deferred: Deferred, request: &AppendRequest) -> Self {
        let event = request.events.first();
        Pending {
            message,
            deferred,
            id: event.and_then(|event| event.id.clone()).unwrap_or(EventId::Bits(0)),
            stream: request.stream.clone(),
            event_type: event.map(|event| event.event_type.clone()).unwrap_or_default(),
        }
    }
}

/// Trouble as the node's status shows it; `None` when it is over.
pub(super) struct Trouble(pub(super) Option<String>);

/// Tells the node of the first trouble and of its end, not of each.
pub(super) struct Watch {
    feed: Arc<dyn Feed>,
    troubled: AtomicBool,
}

impl Watch {
    pub(super) fn new(feed: Arc<dyn Feed>) -> Self {
        Watch { feed, troubled: AtomicBool::new(false) }
    }

    pub(super) fn tell(&self, trouble: Option<&str>) {
        if self.troubled.swap(trouble.is_some(), Ordering::Relaxed) != trouble.is_some() {
            self.feed.signal(Signal::Own(Box::new(Trouble(trouble.map(str::to_owned)))));
        }
    }
}

/// The emissions of one append: in the order of the messages, each with its token.
pub(super) fn emissions(
    pending: Vec<Pending>,
    results: Vec<Result<Appended, AppendError>>,
    watch: &Watch,
) -> Vec<Emission> {
    let mut trouble = None;
    let mut results = results.into_iter();
    let mut emissions = Vec::with_capacity(pending.len());
    for mut pending in pending {
        let emission = match results.next().unwrap_or(Err(AppendError::Closed)) {
            Ok(appended) => {
                if let Some(completion) = pending.deferred.completion.take() {
                    let deferred = Deferred { token: None, completion: Some(completion) };
                    emissions.push(Emission::Finish { deferred, outcome: Outcome::Done });
                }
                stored(pending, appended)
            }
            Err(error) if error.is_retryable() => {
                // The log does not take anything now. The message waits, and with it what comes after it; a source that
                // wants an acknowledgement gets none before the event is on disk.
                trouble = Some(error.to_string());
                Emission::Retry { message: pending.message, token: pending.deferred.token }
            }
            Err(error) => {
                let delivery = Delivery::new(pending.message, pending.deferred.token);
                let (text, emission) = rejection(delivery, &error.to_string(), code(&error));
                trouble = Some(text);
                emission
            }
        };
        emissions.push(emission);
    }
    watch.tell(trouble.as_deref());
    emissions
}

fn stored(pending: Pending, appended: Appended) -> Emission {
    let Pending { mut message, deferred: Deferred { token, .. }, id, stream, event_type } = pending;
    let id = id.to_compact();
    let mut event = Map::with_capacity(6);
    event.insert("id", Value::string(&id));
    event.insert("position", appended.last_position.get());
    event.insert("version", appended.version);
    event.insert("stream", stream.as_str());
    event.insert("type", event_type.as_str());
    if appended.deduplicated {
        event.insert("deduplicated", true);
    }
    message.set("event", event);
    let before = message.provenance();
    let first = before.and_then(|before| before.correlation.clone().or_else(|| before.causes.first().cloned()));
    let provenance = Provenance {
        correlation: Some(first.unwrap_or_else(|| id.to_string())),
        command: before.and_then(|before| before.command.clone()),
        causes: vec![id.to_string()],
        ingest: None,
    };
    message.set_provenance(Arc::new(provenance));
    Emission::Emit { port: STORED, message, token }
}

/// A refused message on its way out, and the reason.
pub(super) fn rejection(delivery: Delivery, text: &str, code: &str) -> (String, Emission) {
    let mut message = delivery.message;
    let mut error = Map::with_capacity(2);
    error.insert("message", text);
    error.insert("code", code);
    message.set("error", error);
    (text.to_owned(), Emission::Emit { port: REJECTED, message, token: delivery.token })
}

/// A stable word for flows that branch on the reason.
fn code(error: &AppendError) -> &'static str {
    match error {
        AppendError::Conflict { .. } => "version_conflict",
        AppendError::DuplicateId { .. } | AppendError::PartlyStored { .. } => "duplicate_id",
        AppendError::TooLarge { .. } | AppendError::TooMany { .. } => "too_large",
        AppendError::Schema { .. } => "schema_mismatch",
        AppendError::Storage { .. } => "data_not_stored",
        AppendError::DiskFull | AppendError::NoRoom { .. } => "disk_full",
        AppendError::ReadOnly { .. } => "read_only",
        AppendError::Closed => "closed",
        _ => "invalid",
    }
}
