//! One command: what it says, how far it is, and what counts as its confirmation.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use compact_str::CompactString;
use serde_json::{Value as Json, json};
use tidewire_model::position::Position;
use tidewire_model::{Message, Value};

use super::config::Rendered;
use crate::actions::wire::Heard;
use crate::shared::outbox::{Cause, Life, event_number, event_text};

/// How far a command is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// To be sent.
    Waiting,
    /// Sent.
    Sent,
    /// The broker has it.
    Delivered,
}

/// See the module.
pub(super) struct Command {
    pub(super) id: CompactString,
    pub(super) topic: String,
    pub(super) payload: Bytes,
    pub(super) confirm_topic: String,
    pub(super) confirm_payload: String,
    pub(super) cause: Cause,
    pub(super) phase: Phase,
    /// How often it was sent.
    pub(super) attempt: u32,
    /// When it was sent last, and when the answer is overdue.
    pub(super) sent_at: i64,
    pub(super) deadline: i64,
    pub(super) expires_at: i64,
    pub(super) message: Option<Message>,
}

impl Command {
    pub(super) fn new(id: CompactString, rendered: Rendered, cause: Cause, expires_at: i64) -> Self {
        Command {
            id,
            topic: rendered.topic,
            payload: rendered.payload,
            confirm_topic: rendered.confirm_topic,
            confirm_payload: rendered.confirm_payload,
            cause,
            phase: Phase::Waiting,
            attempt: 0,
            sent_at: 0,
            deadline: 0,
            expires_at,
            message: None,
        }
    }

    /// Data of the event that asks for it.
    pub(super) fn request_data(&self, thing: &str) -> Json {
        let mut data = json!({ "id": self.id, "topic": self.topic });
        let payload = match std::str::from_utf8(&self.payload) {
            Ok(text) => ("payload", text.to_owned()),
            Err(_) => ("payloadBase64", STANDARD.encode(&self.payload)),
        };
        let texts = [
            (payload.0, payload.1.as_str()),
            ("confirmTopic", self.confirm_topic.as_str()),
            ("confirmPayload", if self.confirm_topic.is_empty() { "" } else { self.confirm_payload.as_str() }),
            ("thing", thing),
        ];
        if let Some(data) = data.as_object_mut() {
            for (name, text) in texts {
                if !text.is_empty() || name == "payload" {
                    data.insert(name.to_owned(), text.into());
                }
            }
            data.insert("expiresAt".to_owned(), self.expires_at.into());
        }
        data
    }

    /// The command that events tell of, and its place.
    pub(super) fn of_life(life: &Life, timeout_ms: i64) -> Option<(Position, Command)> {
        let (event, data) = life.requested()?;
        let text = |key: &str| event_text(&data, key).unwrap_or_default().to_owned();
        let payload = match event_text(&data, "payloadBase64") {
            Some(encoded) => Bytes::from(STANDARD.decode(encoded).ok()?),
            None => Bytes::from(text("payload")),
        };
        let rendered = Rendered {
            topic: event_text(&data, "topic")?.to_owned(),
            payload,
            confirm_topic: text("confirmTopic"),
            confirm_payload: text("confirmPayload"),
        };
        let cause = Cause::of_request(event.id.clone(), event.correlation_id.clone());
        let expires_at = event_number(&data, "expiresAt").unwrap_or(event.time);
        let mut command = Command::new(life.id.clone(), rendered, cause, expires_at);
        if let Some((sent, data)) = life.last("sent") {
            command.attempt = event_number(&data, "attempt").and_then(|attempt| attempt.try_into().ok()).unwrap_or(1);
            command.sent_at = sent.time;
            command.deadline = sent.time + timeout_ms;
            command.phase = if life.last("delivered").is_some() { Phase::Delivered } else { Phase::Sent };
        }
        Some((event.position, command))
    }

    /// Whether an answer names this command.
    pub(super) fn is_named(&self, heard: &Heard, answer: Option<&Value>) -> bool {
        heard.command.as_deref() == Some(self.id.as_str())
            || answer.and_then(|answer| answer.get("command")).and_then(Value::as_str) == Some(self.id.as_str())
    }

    /// Whether an answer says what this command waits for.
    pub(super) fn is_met(&self, heard: &Heard, answer: Option<&Value>) -> bool {
        let text = String::from_utf8_lossy(&heard.payload);
        if text.trim() == self.confirm_payload.trim() {
            return true;
        }
        match (Value::from_json(&self.confirm_payload), answer) {
            (Ok(expected), Some(answer)) => holds(&expected, answer),
            _ => false,
        }
    }
}

/// Whether `answer` is `expected`, or an object that holds all it asks for.
fn holds(expected: &Value, answer: &Value) -> bool {
    match (expected.as_object(), answer.as_object()) {
        (Some(expected), Some(answer)) if !expected.is_empty() => expected
            .iter()
            // The command's id is of interest to `is_named` only.
            .filter(|(key, _)| *key != "command")
            .all(|(key, value)| answer.get(key).is_some_and(|found| holds(value, found))),
        _ => expected == answer,
    }
}
