//! `event-store-append` turns messages into events. A message's source is acknowledged only when its event is on disk.

mod attributes;
mod identity;
mod outcome;

use std::sync::Arc;

use compact_str::CompactString;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use tidewire_model::append::{AppendRequest, ExpectedVersion};
use tidewire_model::event::{EventId, NewEvent, Raw, StreamName};
use tidewire_model::value::Path;
use tidewire_model::{Message, Problem, Value};
use tidewire_node_api::{
    Batch, BuildEnv, BuildError, Category, Ctx, Kind, Meta, Node, NodeError, NodeType, Role, Signal, State, Status,
    lenient,
};

use crate::shared::event_value::{device_time, encode};
use crate::shared::template::Template;
use crate::shared::typed_input::{Operand, message_path};
use attributes::{Attribute, Attributes};
use identity::Identity;
use outcome::{Pending, Trouble, Watch, emissions, rejection};

/// Pieces of work under way at once: each is a batch, and the log writes what is under way together.
const BATCHES_MAX: usize = 16;

/// Stores each message as an event in the event log.
///
/// The event goes into a *stream*, the history of one thing. By default that is `thing-` and the topic, so a message on
/// `greenhouse/soil` goes into `thing-greenhouse/soil`: slashes stay as they are. What has happened is said by the event
/// type, in the past tense.
///
/// The first output sends the message on once its event is on disk, with `msg.event` (`id`, `position`, `version`,
/// `stream`, `type`). The second one sends messages that were refused, with the reason in `msg.error`: the stream was not
/// at the expected version, the event id is taken, or a name cannot be used.
///
/// **Extensions** are attributes of CloudEvents with names of your own, lower-case letters and digits. The log keeps them
/// with the event, and gives them back as `msg.event.extensions` and in every export. Each is a text, a whole number of 32
/// bits, true or false; a property that the message does not have is left out.
///
/// The time of the event is `msg.time` or `msg.payload.time` when that is a credible time, else now. Storing the same
/// event id again does nothing and gives the first result. Without an id of your own, a message that was made from an
/// event gets an id derived from that event, so that a repetition after a crash is stored once.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct EventStoreAppendConfig {
    /// The stream, such as `thing-{{topic}}`.
    #[schemars(length(min = 1, max = 512), extend("x-widget" = "text"))]
    stream: String,
    /// What happened, in the past tense; may contain `{{…}}`.
    #[schemars(length(min = 1, max = 256), extend("x-widget" = "text"))]
    event_type: String,
    /// What is stored as the event's data.
    #[schemars(extend("x-widget" = "typed-input", "x-type-property" = "dataType", "x-types" = ["msg", "str", "num", "bool", "json", "env"]))]
    data: Json,
    /// Type of `data`.
    data_type: String,
    /// What the stream's version has to be: `any`, `none` (no event yet), `exists`, a number, or a property such as
    /// `msg.event.version`.
    #[serde(deserialize_with = "lenient::text")]
    #[schemars(schema_with = "lenient::text_schema")]
    expected_version: String,
    /// Id of the event; empty: made by the node.
    #[schemars(extend("x-widget" = "typed-input", "x-type-property" = "eventIdType", "x-types" = ["msg", "str"]))]
    event_id: Json,
    /// Type of `eventId`.
    event_id_type: String,
    /// Extension attributes, such as `traceparent`: what is said of the event beside its data.
    #[schemars(length(max = 32), extend("x-widget" = "rows"))]
    extensions: Vec<Attribute>,
}

impl Default for EventStoreAppendConfig {
    fn default() -> Self {
        EventStoreAppendConfig {
            stream: "thing-{{topic}}".to_owned(),
            event_type: "reading-reported".to_owned(),
            data: Json::String("payload".to_owned()),
            data_type: "msg".to_owned(),
            expected_version: "any".to_owned(),
            event_id: Json::String(String::new()),
            event_id_type: "msg".to_owned(),
            extensions: Vec::new(),
        }
    }
}

enum Expected {
    Fixed(ExpectedVersion),
    Property(Path),
}

impl Expected {
    fn parse(text: &str) -> Result<Expected, Problem> {
        if text.starts_with("msg.") {
            return message_path(text, "/expectedVersion").map(Expected::Property);
        }
        let fixed = text.parse().map_err(|error| {
            let text = format!("{error}, or a property such as msg.event.version");
            Problem::error("/expectedVersion", text)
        });
        fixed.map(Expected::Fixed)
    }

    fn of(&self, message: &Message) -> Result<ExpectedVersion, String> {
        match self {
            Expected::Fixed(fixed) => Ok(*fixed),
            Expected::Property(path) => {
                let text = message.get_path(path).unwrap_or(&Value::Undefined).to_text();
                if text.is_empty() {
                    return Err(format!("the message has no expected version at msg.{path}"));
                }
                text.parse().map_err(|error| format!("the expected version at msg.{path} {error}"))
            }
        }
    }
}

pub(crate) struct EventStoreAppend {
    stream: Template,
    event_type: Template,
    data: Operand,
    expected: Expected,
    event_id: Option<Operand>,
    extensions: Attributes,
    identity: Identity,
    source: CompactString,
    node_id: CompactString,
    watch: Option<Arc<Watch>>,
}

impl NodeType for EventStoreAppend {
    type Config = EventStoreAppendConfig;

    const META: Meta = Meta {
        icon: "event-append",
        outputs: &["stored", "rejected"],
        keywords: &["store", "save", "record", "log", "history", "database", "write", "event"],
        ..Meta::new("event-store-append", "Append event", Category::Events, Role::State, Kind::Effect)
    };

    fn build(config: EventStoreAppendConfig, env: &BuildEnv) -> Result<Self, BuildError> {
        let mut problems = Vec::new();
        let mut keep = |problem| problems.push(problem);
        let stream = Template::parse(&config.stream, "/stream").map_err(&mut keep).ok();
        let event_type = Template::parse(&config.event_type, "/eventType").map_err(&mut keep).ok();
        let data = Operand::compile(&config.data, &config.data_type, "/data").map_err(&mut keep).ok();
        let expected = Expected::parse(&config.expected_version).map_err(&mut keep).ok();
        let own_id = !matches!(&config.event_id, Json::Null) && config.event_id.as_str() != Some("");
        let event_id = match own_id {
            true => Operand::compile(&config.event_id, &config.event_id_type, "/eventId").map_err(&mut keep).ok(),
            false => None,
        };
        let extensions = Attributes::compile(&config.extensions, &mut problems);
        let (Some(stream), Some(event_type), Some(data), Some(expected), true) =
            (stream, event_type, data, expected, problems.is_empty())
        else {
            return Err(BuildError(problems));
        };
        Ok(EventStoreAppend {
            stream,
            event_type,
            data,
            expected,
            event_id,
            extensions,
            identity: Identity::new(env.id.as_str()),
            source: CompactString::default(),
            node_id: CompactString::from(env.id.as_str()),
            watch: None,
        })
    }
}

impl EventStoreAppend {
    /// The append that a message asks for.
    fn request(&mut self, message: &Message, ctx: &Ctx<'_>, rev: &CompactString) -> Result<AppendRequest, String> {
        let now = ctx.now_ms();
        let rendered = self.stream.render(message).map_err(|error| error.text)?;
        if rendered.is_empty() || rendered.ends_with('-') {
            return Err(format!(
                "the stream name \"{rendered}\" is incomplete: the message lacks what it is made from"
            ));
        }
        let stream = StreamName::new(rendered).map_err(|error| error.to_string())?;
        let event_type = self.event_type.render(message).map_err(|error| error.text)?;
        let data = self.data.value(message, now);
        let Some((data, content_type)) = encode(&data) else {
            return Err("there is nothing to store: the message has no such property".to_owned());
        };
        let expected = self.expected.of(message)?;
        let mut event = NewEvent::new(event_type, content_type, data);
        event.extensions = self.extensions.of(message, now)?;
        let own = self.event_id.as_ref().map(|operand| operand.value(message, now).to_text().into_owned());
        let provenance = message.provenance();
        event.id = Some(match own.filter(|id| !id.is_empty()) {
            Some(id) => EventId::from(id),
            None => match provenance.map(|provenance| (&provenance.causes, &provenance.ingest)) {
                Some((causes, _)) if !causes.is_empty() => self.identity.derived(causes, &stream, &event),
                Some((_, Some(ingest))) => self.identity.ingested(ingest, message, &stream, &event),
                _ => self.identity.fresh(ctx),
            },
        });
        if let Some(provenance) = provenance {
            event.causation_id = provenance.causes.first().map(|cause| EventId::from(cause.as_str()));
            let correlation = provenance.correlation.as_ref().or(provenance.causes.first());
            event.correlation_id = correlation.map(|id| EventId::from(id.as_str()));
        }
        event.source = self.source.clone();
        event.node_id = Some(self.node_id.clone());
        event.flow_rev = Some(rev.clone());
        event.time = Some(time_of(message, now).unwrap_or(now));
        event.raw = raw_of(message);
        Ok(AppendRequest { stream, expected, events: vec![event] })
    }
}

/// The device's own time.
fn time_of(message: &Message, now_ms: i64) -> Option<i64> {
    if let Some(time) = message.get("time").and_then(|time| device_time(time, now_ms)) {
        return Some(time);
    }
    let payload = message.payload();
    if let Value::Json(lazy) = payload
        && memchr::memmem::find(lazy.bytes(), b"\"time\"").is_none()
    {
        return None;
    }
    device_time(payload.get("time")?, now_ms)
}

/// What came in over MQTT, while the payload is still what it was then.
fn raw_of(message: &Message) -> Option<Raw> {
    let qos = u8::try_from(message.get("qos")?.as_i64()?).ok()?;
    let retain = message.get("retain")?.as_bool()?;
    let payload = match message.payload() {
        Value::Bytes(bytes) => bytes.clone(),
        Value::Json(lazy) => lazy.bytes().clone(),
        Value::String(text) => text.as_bytes().clone(),
        _ => return None,
    };
    Some(Raw { topic: CompactString::from(message.topic()?), retain, qos, payload })
}

impl Node for EventStoreAppend {
    fn start(&mut self, _state: Option<State>, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        self.data.start(ctx);
        if let Some(id) = &mut self.event_id {
            id.start(ctx);
        }
        self.extensions.start(ctx);
        let facts = ctx.facts();
        self.source = compact_str::format_compact!("/flow/{}/node/{}", facts.flow, facts.id);
        self.node_id = CompactString::from(facts.id.as_str());
        self.identity = Identity::new(facts.id.as_str());
        self.watch = Some(Arc::new(Watch::new(ctx.feed())));
        Ok(())
    }

    fn process(&mut self, message: Message, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        let token = ctx.defer().token;
        let mut batch = Batch::from([tidewire_node_api::Delivery::new(message, token)]);
        self.process_batch(&mut batch, ctx);
        Ok(())
    }

    fn process_batch(&mut self, batch: &mut Batch, ctx: &mut Ctx<'_>) {
        let rev = compact_str::format_compact!("{}", ctx.revision());
        let mut requests = Vec::with_capacity(batch.len());
        let mut pending = Vec::with_capacity(batch.len());
        let mut refused = Vec::new();
        for mut delivery in batch.drain(..) {
            match self.request(&delivery.message, ctx, &rev) {
                Ok(request) => {
                    ctx.begin(delivery.token.take(), &delivery.message);
                    pending.push(Pending::new(delivery.message, ctx.defer(), &request));
                    requests.push(request);
                }
                Err(text) => refused.push(rejection(delivery, &text, "invalid")),
            }
        }
        let Some(watch) = self.watch.clone() else { return };
        if !refused.is_empty() {
            watch.tell(refused.last().map(|(text, _)| text.as_str()));
            let refused = refused.into_iter().map(|(_, emission)| emission).collect();
            ctx.spawn_ordered(std::future::ready(refused));
        }
        if !requests.is_empty() {
            let append = ctx.services().log.append(requests);
            ctx.spawn_ordered(async move { emissions(pending, append.await, &watch) });
        }
    }

    fn signal(&mut self, signal: Signal, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        if let Signal::Own(own) = signal
            && let Ok(trouble) = own.downcast::<Trouble>()
        {
            ctx.status(trouble.0.map_or_else(Status::default, Status::error));
        }
        Ok(())
    }

    fn concurrency(&self) -> usize {
        BATCHES_MAX
    }
}

#[cfg(test)]
mod tests;
