//! `trigger` answers a message with one message at once and another one later.

mod config;
mod output;

use std::collections::HashMap;

use compact_str::CompactString;
use serde_json::{Map as JsonMap, Value as Json};
use tidewire_model::value::Path;
use tidewire_model::{Message, Problem};
use tidewire_node_api::{
    BuildEnv, BuildError, Category, Ctx, Fill, Kind, Meta, Node, NodeError, NodeType, Outcome, Role, Shape, Signal,
    State, Status, StopReason,
};

use crate::shared::coerce;
use crate::shared::held::{Entry, Held, Holder, NEVER};
use config::{ByTopic, TriggerConfig};
use output::Output;

/// Name under which a message stands that has no topic.
const NO_TOPIC: &str = "_none";

pub(crate) struct Trigger {
    first: Output,
    then: Output,
    duration_ms: f64,
    /// The first message is sent again and again.
    repeats: bool,
    extends: bool,
    overrides: bool,
    /// Text of a payload that resets.
    reset: String,
    /// The property that tells topics apart, if they are.
    by: Option<Path>,
    /// Output of the second message.
    port: usize,
    holder: Holder,
    /// What each topic waits for. The message is the one to be sent; `rank` is the interval of a repetition.
    waiting: HashMap<CompactString, Held>,
    /// Topics by the id of what is held, which is the key of the timer too.
    topics: HashMap<u64, CompactString>,
}

impl NodeType for Trigger {
    type Config = TriggerConfig;

    const META: Meta = Meta {
        icon: "trigger",
        keywords: &["timer", "debounce", "watchdog", "timeout", "pulse", "repeat", "off delay", "resend"],
        ..Meta::new("trigger", "Trigger", Category::Function, Role::Logic, Kind::Stateful)
    };

    fn derived(config: &TriggerConfig) -> JsonMap<String, Json> {
        JsonMap::from_iter([("duration".to_owned(), config.duration_ms().abs().into())])
    }

    fn check(config: &TriggerConfig) -> Vec<Problem> {
        Trigger::compile(config).err().unwrap_or_default()
    }

    fn build(config: TriggerConfig, _env: &BuildEnv) -> Result<Self, BuildError> {
        Trigger::compile(&config).map_err(BuildError)
    }
}

impl Trigger {
    fn compile(config: &TriggerConfig) -> Result<Trigger, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut ok = |result: Result<Output, Problem>| result.map_err(|problem| problems.push(problem)).ok();
        let first = ok(Output::first(&config.op1, &config.op1type));
        let then = ok(Output::then(&config.op2, &config.op2type));
        let by = match config.by_topic() {
            ByTopic::All => None,
            ByTopic::Topic => match config.topic_path() {
                Ok(path) => Some(path),
                Err(problem) => {
                    problems.push(problem);
                    None
                }
            },
        };
        let (Some(first), Some(then), true) = (first, then, problems.is_empty()) else { return Err(problems) };
        let duration = config.duration_ms();
        Ok(Trigger {
            first,
            then,
            duration_ms: duration.abs(),
            repeats: duration < 0.0,
            extends: config.extend && duration >= 0.0,
            overrides: config.override_delay,
            reset: config.reset.clone(),
            by,
            port: usize::from(config.outputs == 2.0),
            holder: Holder::new(config.ack),
            waiting: HashMap::new(),
            topics: HashMap::new(),
        })
    }

    fn topic(&self, message: &Message) -> CompactString {
        let value = self.by.as_ref().and_then(|path| message.get_path(path)).filter(|value| value.is_truthy());
        value.map_or_else(|| NO_TOPIC.into(), |value| coerce::text(value).as_ref().into())
    }

    fn resets(&self, message: &Message) -> bool {
        let by_payload = || match message.get("payload") {
            Some(payload) if !self.reset.is_empty() && !payload.is_nullish() => coerce::text(payload) == self.reset,
            _ => false,
        };
        message.body().contains_key("reset") || by_payload()
    }

    fn wait(&self, message: &Message) -> f64 {
        let given = message.get("delay").filter(|_| self.overrides).and_then(coerce::parse_float);
        given.unwrap_or(self.duration_ms)
    }

    /// Stops waiting, and nothing is sent.
    fn reset_topic(&mut self, topic: &str, ctx: &Ctx<'_>) {
        let Some(held) = self.waiting.remove(topic) else { return };
        self.topics.remove(&held.entry.id);
        ctx.cancel_timer(held.entry.id);
        self.holder.drop_quietly(held, Outcome::Dropped, ctx);
    }

    /// Waits until `due` to send `message`; what the topic waited for before is replaced.
    fn wait_for(&mut self, topic: CompactString, due: i64, interval: i64, mut message: Message, ctx: &Ctx<'_>) {
        message.reset_hops();
        let earlier = self.waiting.remove(&topic);
        let id = earlier.as_ref().map_or_else(|| ctx.next_id(), |held| held.entry.id);
        let recorded = earlier.as_ref().is_some_and(|held| held.token.is_none());
        if let Some(token) = earlier.and_then(|held| held.token) {
            token.finish(Outcome::Done);
        }
        let entry = Entry { id, rank: interval, due, label: topic.clone(), message };
        // What may never come is nothing to keep a source waiting for.
        let comes = due != NEVER && interval == 0 && !self.then.is_nothing();
        let token = ctx.split_token();
        let held = if comes { self.holder.hold(entry, token, ctx) } else { self.holder.keep(entry, token, ctx) };
        if recorded && held.token.is_some() {
            self.holder.remove(id, ctx);
        }
        if due == NEVER {
            ctx.cancel_timer(id);
        } else {
            ctx.set_timer(id, due);
        }
        self.topics.insert(id, topic.clone());
        self.waiting.insert(topic, held);
    }

    /// The first message of a topic, or any one that repeats.
    fn begin(&mut self, topic: CompactString, message: Message, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        let wait = self.wait(&message);
        let fail = |error: NodeError, message: &Message| error.on(message.clone());
        let payload = self.then.payload(&message, ctx).map_err(|error| fail(error, &message))?;
        let mut first = message.clone();
        if let Some(payload) = self.first.payload(&message, ctx).map_err(|error| fail(error, &message))? {
            first.set_payload(payload);
        }
        let mut then = if self.then.is_latest() { message } else { first.clone() };
        if let Some(payload) = payload {
            then.set_payload(payload);
        }
        let due = due_in(wait, ctx);
        if wait == 0.0 {
            self.wait_for(topic, NEVER, 0, then, ctx);
        } else if !self.repeats {
            self.wait_for(topic, due, 0, then, ctx);
        } else if !self.first.is_nothing() {
            self.wait_for(topic, due, (wait.ceil() as i64).max(1), first.clone(), ctx);
        }
        if !self.first.is_nothing() {
            ctx.emit(0, first);
        }
        Ok(())
    }

    /// A message of a topic that waits already.
    fn go_on(&mut self, topic: CompactString, mut message: Message, ctx: &mut Ctx<'_>) {
        let wait = self.wait(&message);
        let Some(entry) = self.waiting.get(&topic).map(|held| &held.entry) else { return };
        let mut due = entry.due;
        let extends = self.extends && wait > 0.0;
        if extends {
            due = due_in(wait, ctx);
        } else if !self.then.is_latest() {
            ctx.drop_message();
            return;
        }
        if !self.then.is_latest() {
            message.set_payload(entry.message.payload().clone());
        }
        self.wait_for(topic, due, 0, message, ctx);
    }

    /// The wait of a topic is over.
    fn fire(&mut self, id: u64, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        let Some(topic) = self.topics.get(&id).cloned() else { return Ok(()) };
        if self.repeats {
            return self.repeat(&topic, ctx);
        }
        self.topics.remove(&id);
        let Some(mut held) = self.waiting.remove(&topic) else { return Ok(()) };
        self.show(ctx);
        if self.then.is_nothing() {
            self.holder.drop_quietly(held, Outcome::Done, ctx);
            return Ok(());
        }
        let mut message = held.entry.message.clone();
        if let Some(payload) = self.then.payload_later(&message, ctx)? {
            message.set_payload(payload);
        }
        let token = self.holder.token(&mut held);
        ctx.emit_with(self.port, message, Some(token));
        Ok(())
    }

    fn repeat(&mut self, topic: &str, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        let now = ctx.now_ms();
        let Some(held) = self.waiting.get_mut(topic) else { return Ok(()) };
        let mut message = held.entry.message.clone();
        if let Some(payload) = self.first.payload_later(&message, ctx)? {
            message.set_payload(payload);
        }
        let interval = held.entry.rank.max(1);
        let next = held.entry.due.saturating_add(interval);
        held.entry.due = if next > now { next } else { now + interval };
        ctx.set_timer(held.entry.id, held.entry.due);
        ctx.emit_with(0, message, None);
        Ok(())
    }

    fn show(&self, ctx: &Ctx<'_>) {
        ctx.status(match self.waiting.len() {
            0 => Status::default(),
            1 => Status::new(Fill::Blue, Shape::Dot, ""),
            count => Status::new(Fill::Blue, Shape::Dot, count.to_string()),
        });
    }
}

/// The time `wait` milliseconds from now.
fn due_in(wait: f64, ctx: &Ctx<'_>) -> i64 {
    ctx.now_ms().saturating_add(wait.clamp(0.0, 1e14).ceil() as i64)
}

impl Node for Trigger {
    fn start(&mut self, state: Option<State>, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        self.first.start(ctx);
        self.then.start(ctx);
        let mut entries = self.holder.start(state.as_ref(), ctx);
        entries.sort_by_key(|entry| entry.due);
        for entry in entries {
            let blocks = entry.due == NEVER;
            // It blocked until it was reset; that is not what the flow says any more.
            if blocks && self.duration_ms > 0.0 && !self.overrides {
                self.holder.remove(entry.id, ctx);
                continue;
            }
            if !blocks {
                ctx.set_timer(entry.id, entry.due);
            }
            self.topics.insert(entry.id, entry.label.clone());
            self.waiting.insert(entry.label.clone(), Held { entry, token: None });
        }
        self.show(ctx);
        Ok(())
    }

    fn process(&mut self, message: Message, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        let topic = self.topic(&message);
        if self.resets(&message) {
            self.reset_topic(&topic, ctx);
            self.show(ctx);
        } else if self.repeats || !self.waiting.contains_key(&topic) {
            self.begin(topic, message, ctx)?;
            self.show(ctx);
        } else {
            self.go_on(topic, message, ctx);
        }
        Ok(())
    }

    fn signal(&mut self, signal: Signal, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        match signal {
            Signal::Timer(id) => self.fire(id, ctx),
            _ => Ok(()),
        }
    }

    fn stop(&mut self, _reason: StopReason, ctx: &mut Ctx<'_>) -> Option<State> {
        for (_, held) in self.waiting.drain() {
            self.holder.put_away(held, ctx);
        }
        ctx.status(Status::default());
        self.holder.stop()
    }
}

#[cfg(test)]
mod tests;
