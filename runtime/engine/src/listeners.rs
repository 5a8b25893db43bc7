//! Catch, status and complete nodes: what they are told, in Node-RED's shapes.
//!
//! Who hears whom is worked out once per deploy; telling is a push that never waits.

use std::sync::Arc;

use tidewire_model::{Map, Message, Value};
use tidewire_node_api::{Delivery, NodeError, NodeFacts, Outcome, Token};

use crate::inbox::Inbox;
use crate::wiring::finish;

/// How often a node may fail on the same message before nobody is told any more: a loop through a catch node.
const LOOP_MAX: i64 = 10;

/// Who hears a node.
#[derive(Default)]
pub struct Listeners {
    pub errors: Vec<Arc<Inbox>>,
    pub statuses: Vec<Arc<Inbox>>,
    pub completions: Vec<Arc<Inbox>>,
}

impl Listeners {
    pub fn is_empty(&self) -> bool {
        self.errors.is_empty() && self.statuses.is_empty() && self.completions.is_empty()
    }

    /// What becomes of an error.
    pub fn fate(&self, facts: &NodeFacts, error: &NodeError) -> Fate {
        match &error.message {
            Some(_) if failures(facts, error) + 1 >= LOOP_MAX => Fate::Looping,
            Some(_) if !self.errors.is_empty() => Fate::Heard,
            _ => Fate::Unheard,
        }
    }

    /// Gives an error's message to the catch nodes; they take its branch over.
    pub fn tell_error(&self, facts: &NodeFacts, error: NodeError, token: Option<Token>) {
        let value = error_value(facts, &error, failures(facts, &error) + 1);
        let mut message = error.message.unwrap_or_else(|| Message::new(0, Map::new()));
        if let Some(before) = message.get("error").cloned() {
            message.set("_error", before);
        }
        message.set("error", value);
        tell(&self.errors, &message, token);
    }

    pub fn tell_completion(&self, facts: &NodeFacts, mut message: Message) {
        let mut complete = Map::new();
        complete.insert("source", source(facts));
        message.set("complete", Value::object(complete));
        tell(&self.completions, &message, None);
    }

    /// `status` as the node set it.
    pub fn tell_status(&self, facts: &NodeFacts, status: Value, id: u64) {
        let mut status = status.as_object().cloned().unwrap_or_default();
        status.insert("source", source(facts));
        let mut body = Map::new();
        body.insert("status", Value::object(status));
        tell(&self.statuses, &Message::new(id, body), None);
    }
}

/// What becomes of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Catch nodes take it.
    Heard,
    /// It came without a message, or no catch node covers the node.
    Unheard,
    /// The node failed on this message again and again: nobody is told any more.
    Looping,
}

/// How often the node has failed on the message already.
fn failures(facts: &NodeFacts, error: &NodeError) -> i64 {
    let before = error.message.as_ref().and_then(|message| message.get("error")).and_then(Value::as_object);
    let source = before.and_then(|error| error.get("source")).and_then(Value::as_object);
    let same = source.filter(|source| source.get("id").and_then(Value::as_str) == Some(facts.id.as_str()));
    same.and_then(|source| source.get("count")).and_then(Value::as_i64).unwrap_or(0)
}

fn error_value(facts: &NodeFacts, error: &NodeError, count: i64) -> Value {
    let mut from = source(facts).as_object().cloned().unwrap_or_default();
    from.insert("count", count);
    let mut value = Map::new();
    value.insert("message", error.text.as_str());
    value.insert("source", Value::object(from));
    if let Some(code) = error.code {
        value.insert("code", code);
    }
    for (key, detail) in error.details.as_ref().and_then(Value::as_object).into_iter().flat_map(Map::iter) {
        value.insert(key, detail.clone());
    }
    Value::object(value)
}

fn source(facts: &NodeFacts) -> Value {
    let mut source = Map::new();
    source.insert("id", facts.id.as_str());
    source.insert("type", facts.type_name.as_str());
    if !facts.name.is_empty() {
        source.insert("name", facts.name.as_str());
    }
    Value::object(source)
}

fn tell(inboxes: &[Arc<Inbox>], message: &Message, token: Option<Token>) {
    for inbox in inboxes {
        let mut copy = message.clone();
        copy.add_hop();
        let delivery = Delivery::from_source(copy, token.as_ref().map(Token::split));
        if let Err(delivery) = inbox.push_feedback(delivery) {
            finish(delivery.token, Outcome::Failed);
        }
    }
    finish(token, Outcome::Done);
}
