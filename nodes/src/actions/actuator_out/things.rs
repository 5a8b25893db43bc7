//! Commands that people and programs gave to a thing over the HTTP API: taken from the log, carried out here.

use std::sync::Arc;

use compact_str::CompactString;
use serde_json::Value as Json;
use tidewire_model::event::Event;
use tidewire_model::query::{Filter, Start};
use tidewire_model::{Map, Message, Value};
use tidewire_node_api::handles::HandleError;
use tidewire_node_api::{Ctx, NodeError, Signal};
use tokio::task::JoinHandle;

use super::command::Command;
use super::{ActuatorOut, CATEGORY, FOLLOW};
use crate::shared::outbox::{Cause, Life, event_number, event_text};

/// Pause before the log is followed again.
const AGAIN_MS: i64 = 5_000;

/// Follows the log. Ends when dropped.
pub(super) struct Follower(JoinHandle<()>);

impl Drop for Follower {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What the follower brings.
pub(super) struct Followed(Result<Vec<Arc<Event>>, HandleError>);

impl ActuatorOut {
    /// Follows what is asked of the thing from now on.
    pub(super) fn follow(&mut self, ctx: &Ctx<'_>) {
        if self.config.thing.is_empty() {
            return;
        }
        // A node runs on the engine's runtime; only a bench has none, and there events come by hand.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let filter = Filter { category: Some(CATEGORY.into()), ..Filter::types(["tidewire.command.requested"]) };
        let mut subscription = ctx.services().log.subscribe(filter, Start::Position(self.followed.next()));
        let feed = ctx.feed();
        self.follower = Some(Follower(runtime.spawn(async move {
            loop {
                let events = subscription.next().await;
                let ended = events.is_err();
                feed.signal(Signal::Own(Box::new(Followed(events))));
                if ended {
                    return;
                }
            }
        })));
    }

    pub(super) fn take_followed(&mut self, followed: Followed, ctx: &mut Ctx<'_>) {
        match followed.0 {
            Ok(events) => {
                for event in events {
                    self.followed = self.followed.max(event.position);
                    let id = event.stream.as_str().split_once('-').map(|(_, id)| CompactString::new(id));
                    if let Some(id) = id.filter(|_| event.node_id.is_none()) {
                        self.take_up(&Life::new(CATEGORY, &id, event), ctx);
                    }
                }
            }
            Err(error) => {
                ctx.warn(format!("the event log cannot be followed, trying again: {error}"));
                ctx.set_timer(FOLLOW, ctx.now_ms() + AGAIN_MS);
            }
        }
    }

    /// Takes over a command from the log: one of this node's own, or one that its thing was given.
    pub(super) fn take_up(&mut self, life: &Life, ctx: &Ctx<'_>) {
        let mine = life.concerns(ctx.facts().id.as_str());
        let taken = if mine { Command::of_life(life, self.timeout_ms()) } else { None };
        if let Some((position, mut command)) = taken {
            command.message = self.outbox.asked(&command.id);
            self.open.insert(position, command);
            return;
        }
        let Some((event, data)) = life.requested() else { return };
        let (position, request) = (event.position, event.clone());
        if !self.is_for_us(&data) || (life.is_taken() && !mine) || self.open.contains_key(&position) {
            return;
        }
        match self.command_for_thing(life, &request, &data, ctx) {
            Ok(command) => {
                self.open.insert(position, command);
            }
            Err(error) => ctx.error(error),
        }
    }

    fn is_for_us(&self, data: &Json) -> bool {
        let named = |key: &str| event_text(data, key) == Some(self.config.property.as_str());
        !self.config.thing.is_empty()
            && event_text(data, "thing") == Some(self.config.thing.as_str())
            && (self.config.property.is_empty() || named("property") || named("action"))
    }

    fn command_for_thing(&self, life: &Life, event: &Event, data: &Json, ctx: &Ctx<'_>) -> Result<Command, NodeError> {
        let mut body = Map::new();
        for key in ["thing", "property", "action"] {
            if let Some(text) = event_text(data, key) {
                body.insert(key, text);
            }
        }
        let value = match data.get("value") {
            None | Some(Json::Null) => event_text(data, "action").map(Value::string).unwrap_or_default(),
            Some(value) => Value::from(value),
        };
        body.insert("payload", value);
        body.insert("topic", self.config.thing.as_str());
        let message = Message::new(ctx.next_id(), body);
        let (mut command, _) = self.command_of(&message, Some(&life.id), ctx)?;
        command.cause = Cause::of_request(event.id.clone(), event.correlation_id.clone());
        let ttl_ms = data.get("ttl").and_then(Json::as_f64).map_or(60_000, |seconds| (seconds * 1000.0) as i64);
        command.expires_at = event_number(data, "expiresAt").unwrap_or(event.recorded_time + ttl_ms);
        if let Some((sent, data)) = life.last("sent") {
            command.attempt = event_number(&data, "attempt").and_then(|attempt| attempt.try_into().ok()).unwrap_or(1);
            command.sent_at = sent.time;
            command.deadline = sent.time + self.timeout_ms();
            command.phase = super::command::Phase::Sent;
        }
        Ok(command)
    }

    /// As the follower would, for tests.
    #[cfg(test)]
    pub(super) fn followed_signal(events: Vec<Arc<Event>>) -> Signal {
        Signal::Own(Box::new(Followed(Ok(events))))
    }
}
