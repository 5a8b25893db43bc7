//! `event-store-in` brings events of the log into a flow: what comes, or history first.

mod crew;
mod pump;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire_model::position::Position;
use tidewire_model::query::Filter;
use tidewire_model::{Message, Problem};
use tidewire_node_api::handles::{At, Join};
use tidewire_node_api::{
    BuildEnv, BuildError, Category, Ctx, Fill, Kind, Meta, Node, NodeError, NodeType, Role, Shape, Signal, State,
    Status, StopReason, lenient,
};
use tokio::sync::Notify;

use super::background::Background;
use crate::shared::event_filter::{Begin, condition, failures, filter, list, list_schema};
use crew::Crew;
use pump::{News, Pump};

/// Pause before a failed subscription or event is tried again, in milliseconds.
const PAUSE_MS: i64 = 1_000;
const PAUSE_TIMER: u64 = 1;
/// It is looked so often, in milliseconds, whether the filter fails on events.
const LOOK_MS: i64 = 1_000;
const LOOK_TIMER: u64 = 2;

/// Sends events of the event log as messages.
///
/// `topic` is the stream, `payload` the data, and `event` the envelope: `id`, `type`, `subject`, `stream`, `time`,
/// `position`, `version` and what is known of its cause. Events that were in the log before the start are sent first when
/// *start* says so; they are marked `event.replayed`, and effects such as notifications are withheld for them.
///
/// With a *durable* name the node goes on after a restart where it stood, whatever *start* says: each event is sent until
/// the nodes behind have dealt with it (at least once). An event on which they fail is sent three times, then skipped with
/// an error.
///
/// In a *group* several nodes share the events: each goes to one of them, again to any of them when it failed or was not
/// dealt with in time, and after ten times it is put aside (*parked*), where it can be looked at and replayed.
/// `event.delivery` counts. The group keeps its place under its own name; *start* says where a new group begins.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct EventStoreInConfig {
    /// Only this stream; `*` stands for anything. Empty: all.
    #[schemars(extend("x-widget" = "text"))]
    stream: String,
    /// Only streams of this category: what stands before the first `-`, such as `thing`. Empty: all.
    #[schemars(extend("x-widget" = "text"))]
    category: String,
    /// Only events of these types. Empty: all.
    #[serde(deserialize_with = "list")]
    #[schemars(schema_with = "list_schema")]
    event_types: Vec<String>,
    /// Only events on which this is true: a condition in rhai over the event, such as `data.temperature > 25` or
    /// `subject.starts_with("thing-")`. It may use `id source type subject stream category thing time time_ms recordedtime
    /// position version actor causationid correlationid` and `data`. An event on which it fails is left out. Empty: all.
    #[schemars(extend("x-widget" = "code", "x-language" = "rhai"))]
    filter: String,
    /// `now`, `beginning`, `checkpoint` (where the durable name stands, else the beginning), a position, or a time.
    #[serde(deserialize_with = "lenient::text")]
    #[schemars(schema_with = "lenient::text_schema")]
    start: String,
    /// Name under which the node's place in the log is kept. Empty: the place is not kept.
    #[schemars(length(max = 100), extend("x-widget" = "text"))]
    durable: String,
    /// Name of a group to be a member of: its members, here and elsewhere, share the events among them, and each event goes to
    /// one of them. Empty: this node gets all events.
    #[schemars(length(max = 64), extend("x-widget" = "text"))]
    group: String,
    /// In a group: all events of a stream go to one member at a time, in order.
    #[serde(deserialize_with = "lenient::boolean")]
    #[schemars(schema_with = "lenient::boolean_schema")]
    by_stream: bool,
}

impl Default for EventStoreInConfig {
    fn default() -> Self {
        EventStoreInConfig {
            stream: String::new(),
            category: String::new(),
            event_types: Vec::new(),
            filter: String::new(),
            start: "now".to_owned(),
            durable: String::new(),
            group: String::new(),
            by_stream: false,
        }
    }
}

/// How often a group hands out an event before it is put aside.
const DELIVERIES_MAX: u32 = 10;

/// What a node has to know to be a member of a group.
struct Membership {
    group: String,
    /// The node's own name in it.
    member: String,
    by_stream: bool,
}

pub(crate) struct EventStoreIn {
    membership: Option<Membership>,
    filter: Filter,
    begin: Begin,
    durable: Option<String>,
    /// Number of the last event that was fed.
    fed: Arc<AtomicU64>,
    resume: Arc<Notify>,
    pump: Option<Background>,
    /// On how many events the filter had failed when that was told last.
    failed: u64,
}

impl NodeType for EventStoreIn {
    type Config = EventStoreInConfig;

    const META: Meta = Meta {
        icon: "event-in",
        inputs: 0,
        outputs: &["event"],
        keywords: &["subscribe", "read", "history", "replay", "listen", "event", "log"],
        ..Meta::new("event-store-in", "Events", Category::Events, Role::In, Kind::Source)
    };

    fn check(config: &EventStoreInConfig) -> Vec<Problem> {
        let (durable, group) = (config.durable.trim(), config.group.trim());
        let usable = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let mut problems = Vec::new();
        if config.start.trim() == "checkpoint" && durable.is_empty() && group.is_empty() {
            problems.push(Problem::error("/durable", "the start \"checkpoint\" needs a durable name"));
        }
        if !durable.is_empty() && !group.is_empty() {
            problems.push(Problem::error("/durable", "a group keeps its own place; leave the durable name empty"));
        }
        if !group.chars().all(usable) {
            problems
                .push(Problem::error("/group", "use letters, digits, \"-\", \"_\" and \".\" for the name of a group"));
        }
        problems
    }

    fn build(config: EventStoreInConfig, env: &BuildEnv) -> Result<Self, BuildError> {
        let begin = Begin::parse(&config.start).map_err(|problem| BuildError(vec![problem]))?;
        let matching = condition(&config.filter).map_err(|problem| BuildError(vec![problem]))?;
        let group = Some(config.group.trim()).filter(|name| !name.is_empty());
        Ok(EventStoreIn {
            membership: group.map(|group| Membership {
                group: group.to_owned(),
                member: env.id.as_str().to_owned(),
                by_stream: config.by_stream,
            }),
            filter: Filter { matching, ..filter(&config.stream, &config.category, &config.event_types) },
            begin,
            durable: Some(config.durable.trim()).filter(|name| !name.is_empty()).map(str::to_owned),
            fed: Arc::default(),
            resume: Arc::default(),
            pump: None,
            failed: 0,
        })
    }
}

impl EventStoreIn {
    /// Tells of events on which the filter fails: nobody would miss them otherwise.
    fn look(&mut self, ctx: &Ctx<'_>) {
        if self.filter.matching.is_none() {
            return;
        }
        if let Some((count, text)) = failures(&self.filter).filter(|(count, _)| *count > self.failed) {
            self.failed = count;
            ctx.status(Status::new(Fill::Yellow, Shape::Dot, text));
        }
        ctx.set_timer(LOOK_TIMER, ctx.now_ms() + LOOK_MS);
    }

    /// Where this instance begins: a successor of one that began with "now" goes on where that one was.
    fn begin(&self, state: Option<State>) -> Begin {
        let left = state
            .filter(|state| state.version == 1)
            .and_then(|state| state.data.first_chunk::<8>().map(|bytes| Position::new(u64::from_le_bytes(*bytes))));
        match (self.begin, left) {
            (Begin::Now, Some(left)) => Begin::At(At::Position(left.next())),
            (begin, _) => begin,
        }
    }
}

impl Node for EventStoreIn {
    fn start(&mut self, state: Option<State>, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        self.look(ctx);
        let log = Arc::clone(&ctx.services().log);
        let head = log.head();
        let continued = state.is_some() && self.begin == Begin::Now;
        if let Some(membership) = &self.membership {
            let join = Join {
                group: membership.group.clone(),
                member: membership.member.clone(),
                filter: self.filter.clone(),
                start: self.begin.start(),
                by_stream: membership.by_stream,
                deliveries_max: DELIVERIES_MAX,
            };
            let crew = Crew { log, feed: ctx.feed(), join, resume: Arc::clone(&self.resume) };
            self.pump = Some(Background::spawn(crew.run())?);
            ctx.status(Status::ok(format!("member of {}", membership.group)));
            return Ok(());
        }
        let begin = self.begin(state);
        self.fed.store(head.get(), Ordering::Release);
        let pump = Pump::new(log, ctx.feed(), self.filter.clone(), begin, self.durable.clone())
            .with_shared(Arc::clone(&self.fed), Arc::clone(&self.resume))
            .with_history(if continued { Position::ZERO } else { head });
        self.pump = Some(Background::spawn(pump.run())?);
        ctx.status(Status::ok("listening"));
        Ok(())
    }

    fn process(&mut self, _message: Message, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        ctx.drop_message();
        Ok(())
    }

    fn receive(&mut self, mut message: Message, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        message.set_id(ctx.next_id());
        ctx.emit(0, message);
        Ok(())
    }

    fn signal(&mut self, signal: Signal, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        match signal {
            Signal::Timer(PAUSE_TIMER) => self.resume.notify_one(),
            Signal::Timer(LOOK_TIMER) => self.look(ctx),
            Signal::Own(own) => match own.downcast::<News>().map(|news| *news) {
                Ok(News::Broken(text)) => {
                    ctx.status(Status::error(text));
                    ctx.set_timer(PAUSE_TIMER, ctx.now_ms() + PAUSE_MS);
                }
                Ok(News::Listening) => ctx.status(Status::ok("listening")),
                Ok(News::Failing) => ctx.set_timer(PAUSE_TIMER, ctx.now_ms() + PAUSE_MS),
                Ok(News::Skipped(position)) => {
                    let text = format!("the event at position {position} failed three times and is skipped");
                    return Err(NodeError::new(text).with_code("event_skipped"));
                }
                Err(_) => {}
            },
            _ => {}
        }
        Ok(())
    }

    fn stop(&mut self, reason: StopReason, ctx: &mut Ctx<'_>) -> Option<State> {
        ctx.cancel_timer(PAUSE_TIMER);
        ctx.cancel_timer(LOOK_TIMER);
        self.pump = None;
        let fed = self.fed.load(Ordering::Acquire);
        let kept = reason == StopReason::Replaced && self.begin == Begin::Now && self.durable.is_none();
        kept.then(|| State { version: 1, data: Bytes::copy_from_slice(&fed.to_le_bytes()) })
    }
}

#[cfg(test)]
mod tests;
