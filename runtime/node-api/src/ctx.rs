//! What a node may do while it works on a message.

use std::any::Any;
use std::future::Future;
use std::sync::Arc;

use tidewire_model::{Message, Value};

use crate::delivery::{Emission, Outputs, Work};
use crate::error::NodeError;
use crate::host::{DebugEntry, Feed, Host, Level, NodeFacts, Services};
use crate::status::Status;
use crate::token::{Outcome, Token};

/// Where asynchronous work goes.
#[derive(Default)]
pub struct Spawned {
    /// Work whose results leave in the order it was started in.
    pub ordered: Vec<Work>,
    /// Work whose results leave as they come.
    pub unordered: Vec<Work>,
}

/// The node's view of the engine during one activation.
pub struct Ctx<'a> {
    host: &'a dyn Host,
    outputs: &'a mut Outputs,
    spawned: &'a mut Spawned,
    token: Option<Token>,
    /// How the current message ends unless an error says otherwise.
    outcome: Outcome,
}

impl<'a> Ctx<'a> {
    /// Made by the engine for each activation.
    pub fn new(host: &'a dyn Host, outputs: &'a mut Outputs, spawned: &'a mut Spawned) -> Self {
        Ctx { host, outputs, spawned, token: None, outcome: Outcome::Done }
    }

    /// Starts work on the message that `token` belongs to. Called by the engine and by `process_batch` overrides.
    pub fn begin(&mut self, token: Option<Token>) {
        self.token = token;
        self.outcome = Outcome::Done;
    }

    /// Ends work on the current message: reports its error and ends its branch unless the token was taken.
    pub fn end(&mut self, result: Result<(), NodeError>) {
        if let Err(error) = result {
            self.outcome = Outcome::Failed;
            self.host.report(error);
        }
        if let Some(token) = self.token.take() {
            token.finish(self.outcome);
        }
    }

    /// Sends a message out of a port (from 0). It inherits the acknowledgement of the current message.
    pub fn emit(&mut self, port: usize, message: Message) {
        let token = self.token.as_ref().map(Token::split);
        self.outputs.push(port, message, token);
    }

    /// Sends a message with a token of its own.
    pub fn emit_with(&mut self, port: usize, message: Message, token: Option<Token>) {
        self.outputs.push(port, message, token);
    }

    /// Says that the current message is dropped on purpose.
    pub fn drop_message(&mut self) {
        self.outcome = Outcome::Dropped;
    }

    /// Takes the token of the current message, for work that outlasts this call. Whoever holds it ends it.
    pub fn take_token(&mut self) -> Option<Token> {
        self.token.take()
    }

    /// Starts asynchronous work whose results leave in the order of the calls.
    pub fn spawn_ordered(&mut self, work: impl Future<Output = Vec<Emission>> + Send + 'static) {
        self.spawned.ordered.push(Box::pin(work));
    }

    /// Starts asynchronous work whose results leave as soon as they are there.
    pub fn spawn(&mut self, work: impl Future<Output = Vec<Emission>> + Send + 'static) {
        self.spawned.unordered.push(Box::pin(work));
    }

    pub fn facts(&self) -> &NodeFacts {
        self.host.facts()
    }

    /// Milliseconds since 1970, from the injected clock.
    pub fn now_ms(&self) -> i64 {
        self.host.now_ms()
    }

    pub fn random(&self) -> u64 {
        self.host.random()
    }

    /// A new message with this payload.
    pub fn message(&self, payload: impl Into<Value>) -> Message {
        Message::with_payload(self.host.next_id(), payload)
    }

    pub fn next_id(&self) -> u64 {
        self.host.next_id()
    }

    pub fn status(&self, status: Status) {
        self.host.status(status);
    }

    /// Reports an error that does not end the current message.
    pub fn error(&self, error: NodeError) {
        self.host.report(error);
    }

    pub fn warn(&self, text: impl Into<String>) {
        self.host.log(Level::Warn, text.into());
    }

    pub fn log(&self, level: Level, text: impl Into<String>) {
        self.host.log(level, text.into());
    }

    pub fn debug(&self, entry: DebugEntry) {
        self.host.debug(entry);
    }

    /// Asks for [`crate::Signal::Timer`] with `key` at `at_ms` (milliseconds since 1970).
    pub fn set_timer(&self, key: u64, at_ms: i64) {
        self.host.set_timer(key, at_ms);
    }

    pub fn cancel_timer(&self, key: u64) {
        self.host.cancel_timer(key);
    }

    /// The node's own way into its inbox, for connections and background work.
    pub fn feed(&self) -> Arc<dyn Feed> {
        self.host.feed()
    }

    /// What the config node `id` offers, if there is such a node, it runs, and it offers a `T`.
    pub fn resource<T: Any + Send + Sync>(&self, id: &str) -> Option<Arc<T>> {
        self.host.resource(id)?.downcast().ok()
    }

    pub fn env(&self, name: &str) -> Option<String> {
        self.host.env(name)
    }

    pub fn credential(&self, key: &str) -> Option<String> {
        self.host.credential(key)
    }

    pub fn revision(&self) -> u64 {
        self.host.revision()
    }

    pub fn services(&self) -> &Services {
        self.host.services()
    }

    pub fn host(&self) -> &dyn Host {
        self.host
    }
}
