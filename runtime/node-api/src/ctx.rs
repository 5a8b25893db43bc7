//! What a node may do while it works on a message.

use std::any::Any;
use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use compact_str::CompactString;
use tidewire_model::{Message, NodeId, Value};

use crate::context::Context;
use crate::delivery::{Deferred, Emission, Outputs, Work};
use crate::error::NodeError;
use crate::host::{DebugEntry, Feed, Host, Keep, Level, NodeFacts, Services};
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
    /// The current message, if the engine wants to know which it is.
    current: Option<Message>,
    /// Complete nodes are to hear of the end of the current message.
    completes: bool,
}

impl<'a> Ctx<'a> {
    /// Made by the engine for each activation.
    pub fn new(host: &'a dyn Host, outputs: &'a mut Outputs, spawned: &'a mut Spawned) -> Self {
        Ctx { host, outputs, spawned, token: None, outcome: Outcome::Done, current: None, completes: false }
    }

    /// Starts work on a message. Called by the engine and by `process_batch` overrides.
    pub fn begin(&mut self, token: Option<Token>, message: &Message) {
        self.token = token;
        self.outcome = Outcome::Done;
        self.current = self.host.wants_message().then(|| message.clone());
        self.completes = true;
    }

    /// Starts work that no message asked for, such as a signal.
    pub fn begin_signal(&mut self) {
        self.token = None;
        self.outcome = Outcome::Done;
        self.current = None;
        self.completes = false;
    }

    /// Ends work on the current message: offers its error to the catch nodes, or tells the complete nodes, and ends its
    /// branch unless the token was taken.
    pub fn end(&mut self, result: Result<(), NodeError>) {
        let completion = self.current.take().filter(|_| self.completes);
        match (result, self.token.take()) {
            (Err(error), token) => self.host.report(error, token),
            (Ok(()), token) => {
                if let Some(message) = completion {
                    self.host.completed(message);
                }
                if let Some(token) = token {
                    token.finish(self.outcome);
                }
            }
        }
    }

    /// Puts the end of the current message off: it ends with [`Ctx::finish`], or with [`Emission::Finish`].
    pub fn defer(&mut self) -> Deferred {
        let completion = self.current.clone().filter(|_| self.completes);
        self.completes = false;
        Deferred { token: self.token.take(), completion }
    }

    /// Ends a message that was put off. Complete nodes hear of it unless it failed.
    pub fn finish(&mut self, deferred: Deferred, outcome: Outcome) {
        if let Some(message) = deferred.completion.filter(|_| outcome < Outcome::Failed) {
            self.host.completed(message);
        }
        if let Some(token) = deferred.token {
            token.finish(outcome);
        }
    }

    /// Says that complete nodes are not to hear of the current message (Node-RED's old-style handlers).
    pub fn never_completes(&mut self) {
        self.completes = false;
    }

    /// What a node was working on when it panicked, if the engine asked for messages: for the engine.
    pub fn wreck(&mut self) -> Deferred {
        Deferred { token: self.token.take(), completion: self.current.take() }
    }

    /// The current token, to give to [`Ctx::emit_with`] or [`Ctx::keep`] beside others.
    pub fn split_token(&self) -> Option<Token> {
        self.token.as_ref().map(Token::split)
    }

    /// Puts a message into another node's inbox; it arrives there at [`crate::Node::receive`]. It inherits the
    /// acknowledgement of the current message. Never waits: the way counts as one that closes a loop.
    ///
    /// # Errors
    /// There is no such node, or it has no room; what to tell the user.
    pub fn deliver(&mut self, to: &NodeId, message: Message) -> Result<(), NodeError> {
        let token = self.token.as_ref().map(Token::split);
        self.host.deliver(to, message, token)
    }

    /// The entry (such as a `link in` node) with this id, or else with this name: one in the same flow if there is
    /// just one, else the only one on any flow.
    ///
    /// # Errors
    /// None or several, as text.
    pub fn find_entry(&self, id_or_name: &str) -> Result<NodeId, String> {
        self.host.find_entry(id_or_name)
    }

    /// Key-value store of node, flow and whole.
    pub fn context(&self) -> Arc<dyn Context> {
        self.host.context()
    }

    /// Keeps a record of the node through restarts, or removes it. All records of one activation become durable
    /// together; then `token` ends well. Forgotten at the node's end where the user asked for that.
    pub fn keep(&self, key: &str, value: Option<Bytes>, token: Option<Token>) {
        self.host.keep(key, value, token);
    }

    /// The way to the node's records for what outlasts an activation, such as an [`crate::AckSink`].
    pub fn keeper(&self) -> Arc<dyn Keep> {
        self.host.keeper()
    }

    /// The records kept so far, by key: to be asked in [`crate::Node::start`].
    pub fn kept(&self) -> Vec<(CompactString, Bytes)> {
        self.host.kept()
    }

    /// A setting of the runtime in Node-RED's words, such as `nodeMessageBufferMaxLength`.
    pub fn setting(&self, name: &str) -> Option<Value> {
        self.host.setting(name)
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
        self.host.report(error, None);
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

    /// Value of an environment variable as the node sees it: of its group, flow, subflow instance, or the process.
    pub fn env(&self, name: &str) -> Option<Value> {
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

    /// Whether an effect must do without what this message asks for: it comes out of history, and the handles act.
    pub fn withholds(&self, message: &Message) -> bool {
        message.flags().replayed && !self.host.only_records()
    }

    pub fn host(&self) -> &dyn Host {
        self.host
    }
}
