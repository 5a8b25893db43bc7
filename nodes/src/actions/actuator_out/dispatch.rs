//! Carrying out commands: sending, waiting for evidence, sending again, giving up.

use serde_json::{Value as Json, json};
use tidewire_model::Value;
use tidewire_model::position::Position;
use tidewire_node_api::{Ctx, Signal, Status};

use super::command::{Command, Phase};
use super::{ActuatorOut, CATEGORY, PUMP};
use crate::actions::wire::{Heard, Post, Posted};
use crate::shared::outbox::{Recorded, outcome_message};

/// How often it is looked whether the broker is back.
const LOOK_FOR_BROKER_MS: i64 = 500;

/// Pause before a command that was lost with the connection is sent again.
const AFTER_DROP_MS: i64 = 1_000;

/// Longest answer that is kept as evidence, in characters.
const ANSWER_MAX: usize = 500;

/// What became of a message that carried a command.
pub(super) struct Done {
    position: Position,
    attempt: u32,
    posted: Posted,
}

impl ActuatorOut {
    pub(super) fn timeout_ms(&self) -> i64 {
        (self.config.timeout * 1000.0) as i64
    }

    /// Does what can be done now, and sets the timer for what comes later.
    pub(super) fn pump(&mut self, ctx: &mut Ctx<'_>) {
        self.connect(ctx);
        if !self.outbox.is_ready() {
            return;
        }
        let now = ctx.now_ms();
        let connected = self.line.is_connected();
        for position in self.open.keys().copied().collect::<Vec<_>>() {
            self.advance(position, now, connected, ctx);
        }
        let next = self.open.values().map(|command| match command.phase {
            Phase::Waiting => command.expires_at.min(now + LOOK_FOR_BROKER_MS),
            Phase::Sent | Phase::Delivered => command.deadline,
        });
        if let Some(at) = next.min() {
            ctx.set_timer(PUMP, at);
        } else if self.line.wire().is_none() {
            ctx.set_timer(PUMP, now + LOOK_FOR_BROKER_MS);
        }
        let oldest = self.open.keys().next().copied();
        // Commands from elsewhere that the follower has not brought yet must not be skipped by the next start.
        let seen = (!self.config.thing.is_empty()).then(|| self.followed.next());
        self.outbox.checkpoint([oldest, seen].into_iter().flatten().min(), ctx);
        self.show(ctx);
    }

    /// Takes the broker's connection as it is now, and listens for the answers that are awaited.
    fn connect(&mut self, ctx: &Ctx<'_>) {
        if self.line.refresh(&self.config.broker, ctx) {
            self.listening.clear();
        }
        let wanted = |topic: &str| {
            self.texts.constant_confirm_topic() == Some(topic)
                || self.open.values().any(|command| command.confirm_topic == topic)
        };
        let gone: Vec<String> = self.listening.keys().filter(|topic| !wanted(topic)).cloned().collect();
        for topic in gone {
            self.listening.remove(&topic);
        }
        let constant = self.texts.constant_confirm_topic().map(str::to_owned);
        let open = self.open.values().map(|command| command.confirm_topic.clone());
        let topics: Vec<String> = constant.into_iter().chain(open).filter(|topic| !topic.is_empty()).collect();
        for topic in topics {
            self.listen(&topic, ctx);
        }
    }

    fn listen(&mut self, topic: &str, ctx: &Ctx<'_>) {
        let Some(wire) = self.line.wire() else { return };
        if self.listening.contains_key(topic) {
            return;
        }
        let feed = ctx.feed();
        let guard = wire.listen(topic, Box::new(move |heard| feed.signal(Signal::Own(Box::new(heard)))));
        self.listening.insert(topic.to_owned(), guard);
    }

    /// Takes one command a step further, if its time has come.
    fn advance(&mut self, position: Position, now: i64, connected: bool, ctx: &mut Ctx<'_>) {
        let timeout = self.timeout_ms();
        let Some(command) = self.open.get_mut(&position) else { return };
        let overdue = command.phase != Phase::Waiting && command.deadline <= now;
        if overdue && f64::from(command.attempt) <= self.config.retries && now < command.expires_at {
            command.phase = Phase::Waiting;
        } else if overdue {
            let times =
                if command.attempt == 1 { "1 attempt".to_owned() } else { format!("{} attempts", command.attempt) };
            let missing = match command.phase {
                Phase::Delivered => "no confirmation",
                _ if command.confirm_topic.is_empty() => "not taken by the broker",
                _ => "no confirmation, and the broker did not take it",
            };
            self.settle(position, "failed", &json!({ "reason": format!("{missing} after {times}") }), ctx);
            return;
        }
        if command.phase != Phase::Waiting {
            return;
        }
        if now >= command.expires_at {
            let reason = match command.attempt {
                0 => "could not be sent in time",
                _ => "was not confirmed and could not be sent again in time",
            };
            self.settle(position, "expired", &json!({ "reason": reason }), ctx);
        } else if connected {
            command.attempt += 1;
            command.phase = Phase::Sent;
            command.sent_at = now;
            command.deadline = now + timeout;
            self.send(position, now, ctx);
        }
    }

    fn send(&mut self, position: Position, now: i64, ctx: &mut Ctx<'_>) {
        let (Some(command), Some(wire)) = (self.open.get(&position), self.line.wire()) else { return };
        let attempt = command.attempt;
        let feed = ctx.feed();
        let left_s = (command.expires_at - now + 999) / 1000;
        wire.post(Post {
            topic: command.topic.clone(),
            payload: command.payload.clone(),
            assured: true,
            retain: false,
            expiry_s: u32::try_from(left_s).ok(),
            command: Some(command.id.to_string()),
            done: Some(Box::new(move |posted| {
                feed.signal(Signal::Own(Box::new(Done { position, attempt, posted })));
            })),
        });
        let data = json!({ "id": command.id, "attempt": attempt, "topic": command.topic });
        self.note(position, ("sent", attempt), &data, ctx);
        self.last = Status::waiting("sent");
    }

    /// Records a step.
    fn note(&mut self, position: Position, what: (&str, u32), data: &Json, ctx: &mut Ctx<'_>) {
        let Some(command) = self.open.get(&position) else { return };
        match Recorded::new((CATEGORY, &command.id), what, data, &command.cause, ctx) {
            Ok(recorded) => self.outbox.record::<Command>(recorded.append, ctx),
            Err(error) => ctx.error(error),
        }
    }

    /// The client says what became of a message.
    pub(super) fn done(&mut self, done: &Done, ctx: &mut Ctx<'_>) {
        let Some(command) = self.open.get_mut(&done.position) else { return };
        if command.attempt != done.attempt || command.phase != Phase::Sent {
            return;
        }
        match &done.posted {
            Posted::Delivered { heard } => {
                command.phase = Phase::Delivered;
                let last = command.confirm_topic.is_empty();
                let mut data = json!({ "id": command.id, "attempt": done.attempt });
                if let Some(data) = data.as_object_mut() {
                    if !heard {
                        data.insert("note".to_owned(), "no device listens on the topic".into());
                    }
                    if last {
                        data.insert("final".to_owned(), true.into());
                    }
                }
                if last {
                    self.settle(done.position, "delivered", &data, ctx);
                } else {
                    self.note(done.position, ("delivered", done.attempt), &data, ctx);
                    self.last = Status::waiting(match heard {
                        true => "delivered · waits for confirmation",
                        false => "delivered, but no device listens",
                    });
                }
            }
            Posted::Refused(reason) => {
                let data = json!({ "reason": format!("the broker refused it: {reason}") });
                self.settle(done.position, "failed", &data, ctx);
            }
            Posted::Dropped => command.deadline = ctx.now_ms() + AFTER_DROP_MS,
        }
    }

    /// A device says something. Retained messages are known state, not an answer.
    pub(super) fn heard(&mut self, heard: &Heard, ctx: &mut Ctx<'_>) {
        if heard.retain {
            return;
        }
        let text = String::from_utf8_lossy(&heard.payload);
        let answer = Value::from_json(&text).ok();
        let waits = |command: &Command| command.attempt > 0 && command.confirm_topic == heard.topic;
        let mut met: Vec<Position> = Vec::new();
        for (position, command) in self.open.iter().filter(|(_, command)| waits(command)) {
            if command.is_named(heard, answer.as_ref()) {
                met = vec![*position];
                break;
            }
            if command.is_met(heard, answer.as_ref()) {
                met.push(*position);
            }
        }
        let shown = crate::actions::cut(&text, ANSWER_MAX);
        for position in met {
            let Some(command) = self.open.get(&position) else { continue };
            let data = json!({ "payload": shown, "afterMs": ctx.now_ms() - command.sent_at });
            self.settle(position, "confirmed", &data, ctx);
        }
    }

    /// Ends a command: on record, then out of the right output.
    fn settle(&mut self, position: Position, state: &str, more: &Json, ctx: &mut Ctx<'_>) {
        let Some(command) = self.open.remove(&position) else { return };
        self.outbox.forget(&command.id, ctx);
        let mut data = json!({ "id": command.id, "attempt": command.attempt });
        if let (Some(data), Some(more)) = (data.as_object_mut(), more.as_object()) {
            data.extend(more.clone());
        }
        // One outcome, whatever happens: a second one would be the same event.
        let number = if state == "delivered" { command.attempt } else { 0 };
        let recorded = match Recorded::new((CATEGORY, &command.id), (state, number), &data, &command.cause, ctx) {
            Ok(recorded) => recorded,
            Err(error) => return ctx.error(error),
        };
        let mut outcome = data.clone();
        if let Some(outcome) = outcome.as_object_mut() {
            outcome.insert("state".to_owned(), state.into());
            outcome.remove("final");
        }
        let asked = command.message.as_ref();
        let message = outcome_message(asked, "command", &outcome, &recorded.id, &command.cause, ctx);
        let good = matches!(state, "confirmed" | "delivered");
        self.outbox.record_and_emit::<Command>(recorded.append, (usize::from(!good), message), ctx);
        let reason = data.get("reason").and_then(Json::as_str).unwrap_or_default();
        let took = ctx.now_ms() - command.sent_at;
        self.last = match state {
            "confirmed" => Status::ok(format!("confirmed in {}.{} s", took / 1000, took / 100 % 10)),
            "delivered" => Status::ok("delivered"),
            other => Status::error(format!("{other}: {reason}")),
        };
    }
}
