//! A bench to test one node without a runtime: virtual clock, counted ids, recorded effects.

mod host;
mod lives;
mod nothing;

use std::any::Any;
use std::future::Future;
use std::sync::Arc;

use serde_json::Value as Json;
use tidewire_model::{Message, NodeId, Value};

use crate::context::{Context, ContextScope};
use crate::ctx::{Ctx, Spawned};
use crate::delivery::{Batch, Delivery, Emission, Outputs};
use crate::error::NodeError;
use crate::host::{DebugEntry, Host, Level, Services};
use crate::node::{Node, Signal, State, StopReason};
use crate::node_type::{BuildEnv, NodeDef, NodeType};
use crate::registry::Registry;
use crate::status::Status;
use crate::token::{Outcome, Token};
use host::{BenchHost, lock};

/// Everything a node did besides sending messages.
#[derive(Debug, Default)]
pub struct Seen {
    pub statuses: Vec<Status>,
    pub errors: Vec<NodeError>,
    pub logs: Vec<(Level, String)>,
    pub debug: Vec<DebugEntry>,
    /// Messages whose work ended well, if the bench listens for them.
    pub completed: Vec<Message>,
    /// Messages addressed to other nodes.
    pub delivered: Vec<(NodeId, Message)>,
}

/// One node under test.
pub struct Bench {
    node: Box<dyn Node>,
    build: Box<dyn Fn() -> Result<Box<dyn Node>, String>>,
    host: BenchHost,
    started: bool,
    emitted: Vec<(usize, Message)>,
    retried: Vec<Delivery>,
    /// Tokens of what was sent, if the bench does not end them at once.
    sent_tokens: Option<Vec<Token>>,
}

impl Bench {
    /// A node of type `T` with this configuration over the defaults.
    ///
    /// # Panics
    /// When the node cannot be built: the test asked for something impossible.
    pub fn of<T: NodeType>(config: Json) -> Bench {
        match Bench::try_of::<T>(config) {
            Ok(bench) => bench,
            Err(problems) => panic!("the node cannot be built: {problems}"),
        }
    }

    /// As [`Bench::of`], for configurations that should be refused.
    ///
    /// # Errors
    /// The findings, as text.
    pub fn try_of<T: NodeType>(config: Json) -> Result<Bench, String> {
        let def = NodeDef::of::<T>();
        let registry = Registry::new(&[def])?;
        let env = BuildEnv { id: NodeId::from("bench"), outputs: def.meta.outputs.len() };
        let build = move || registry.build(def.meta.name, &config, &env).map_err(|error| error.to_string());
        let node = build()?;
        let host = BenchHost::new(def.meta.name);
        let build = Box::new(build);
        Ok(Bench { node, build, host, started: false, emitted: Vec::new(), retried: Vec::new(), sent_tokens: None })
    }

    /// Puts real or recording handles in place.
    #[must_use]
    pub fn with_services(mut self, services: Services) -> Self {
        self.host.services = services;
        self
    }

    /// Offers what a config node would.
    #[must_use]
    pub fn with_resource(mut self, id: &str, resource: Arc<dyn Any + Send + Sync>) -> Self {
        self.host.resources.insert(id.to_owned(), resource);
        self
    }

    #[must_use]
    pub fn with_credential(mut self, key: &str, value: &str) -> Self {
        self.host.credentials.insert(key.to_owned(), value.to_owned());
        self
    }

    /// Makes a runtime setting known, such as `nodeMessageBufferMaxLength`.
    #[must_use]
    pub fn with_setting(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.host.settings.insert(name.to_owned(), value.into());
        self
    }

    #[must_use]
    pub fn with_env(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.host.env.insert(name.to_owned(), value.into());
        self
    }

    /// Puts a value into the default context store.
    #[must_use]
    pub fn with_context(self, scope: ContextScope, key: &str, value: impl Into<Value>) -> Self {
        assert_eq!(self.host.context().set(scope, None, key, value.into()), Ok(()), "a context key");
        self
    }

    /// An entry that [`Ctx::find_entry`] finds under this name.
    #[must_use]
    pub fn with_entry(mut self, name: &str, id: &str) -> Self {
        self.host.entries.insert(name.to_owned(), NodeId::from(id));
        self
    }

    /// Listens for the ends of messages, as a complete node does.
    #[must_use]
    pub fn with_completions(mut self) -> Self {
        self.host.completions = true;
        self
    }

    /// The node's context, and all others'.
    pub fn context(&self) -> Arc<dyn Context> {
        self.host.context()
    }

    /// Starts the node, with a predecessor's state.
    #[must_use]
    pub fn started_with(mut self, state: Option<State>) -> Self {
        self.start(state);
        self
    }

    fn start(&mut self, state: Option<State>) {
        self.started = true;
        self.act(|node, ctx| {
            if let Err(error) = node.start(state, ctx) {
                ctx.error(error);
            }
        });
    }

    /// Sends a message with this payload.
    #[must_use]
    pub fn send(self, payload: impl Into<Value>) -> Self {
        let id = self.host.next_id();
        self.send_message(Message::with_payload(id, payload))
    }

    /// Sends a message given as JSON, such as `{"topic":"a","payload":1}`.
    #[must_use]
    pub fn send_json(self, message: Json) -> Self {
        let id = self.host.next_id();
        let body = Value::from(message).as_object().cloned().unwrap_or_default();
        self.send_message(Message::new(id, body))
    }

    #[must_use]
    pub fn send_message(self, message: Message) -> Self {
        self.send_with(message, None)
    }

    /// Sends a message whose source wants to hear how it ends.
    #[must_use]
    pub fn send_with(mut self, message: Message, token: Option<Token>) -> Self {
        self.begin();
        let mut batch = Batch::from([Delivery::new(message, token)]);
        self.act(|node, ctx| node.process_batch(&mut batch, ctx));
        self
    }

    /// Sends a message as a listener, a reply or the node's own source would: to [`Node::receive`].
    #[must_use]
    pub fn receive(mut self, message: Message) -> Self {
        self.begin();
        let mut batch = Batch::from([Delivery::from_source(message, None)]);
        self.act(|node, ctx| node.process_batch(&mut batch, ctx));
        self
    }

    /// Sends a signal.
    #[must_use]
    pub fn signal(mut self, signal: Signal) -> Self {
        self.begin();
        self.act(|node, ctx| {
            if let Err(error) = node.signal(signal, ctx) {
                ctx.error(error);
            }
        });
        self
    }

    /// Lets virtual time pass; timers fire in order on the way.
    #[must_use]
    pub fn after_ms(mut self, ms: i64) -> Self {
        self.begin();
        let until = lock(&self.host.world).now_ms + ms;
        loop {
            let due = {
                let mut world = lock(&self.host.world);
                let next = world.timers.keys().next().copied().filter(|(at, _)| *at <= until);
                if let Some((at, key)) = next {
                    world.timers.remove(&(at, key));
                    world.now_ms = world.now_ms.max(at);
                }
                next
            };
            let Some((_, key)) = due else { break };
            self = self.signal(Signal::Timer(key));
        }
        lock(&self.host.world).now_ms = until;
        self
    }

    /// Stops the node and gives what it leaves for its successor.
    pub fn stop(mut self, reason: StopReason) -> Option<State> {
        self.begin();
        let mut state = None;
        self.act(|node, ctx| state = node.stop(reason, ctx));
        state
    }

    fn begin(&mut self) {
        if !self.started {
            self.start(None);
        }
    }

    /// Runs one activation, the work it starts, and what it feeds to itself.
    fn act(&mut self, run: impl FnOnce(&mut Box<dyn Node>, &mut Ctx<'_>)) {
        let (mut outputs, mut spawned) = (Outputs::default(), Spawned::default());
        run(&mut self.node, &mut Ctx::new(&self.host, &mut outputs, &mut spawned));
        self.collect(&mut outputs);
        self.run_spawned(spawned);
        loop {
            let (mut fed, signals) = {
                let mut world = lock(&self.host.world);
                (std::mem::take(&mut world.fed), std::mem::take(&mut world.signals))
            };
            if fed.is_empty() && signals.is_empty() {
                break;
            }
            let (mut outputs, mut spawned) = (Outputs::default(), Spawned::default());
            let mut ctx = Ctx::new(&self.host, &mut outputs, &mut spawned);
            for signal in signals {
                if let Err(error) = self.node.signal(signal, &mut ctx) {
                    ctx.error(error);
                }
            }
            self.node.process_batch(&mut fed, &mut ctx);
            self.collect(&mut outputs);
            self.run_spawned(spawned);
        }
    }

    fn collect(&mut self, outputs: &mut Outputs) {
        for (port, queue) in outputs.ports_mut().iter_mut().enumerate() {
            for delivery in queue.drain(..) {
                self.emitted.push((port, delivery.message));
                match (&mut self.sent_tokens, delivery.token) {
                    (Some(open), Some(token)) => open.push(token),
                    (_, token) => end(token),
                }
            }
        }
        outputs.emptied();
    }

    fn run_spawned(&mut self, spawned: Spawned) {
        for work in spawned.ordered.into_iter().chain(spawned.unordered) {
            for emission in block_on(work) {
                match emission {
                    Emission::Emit { port, message, token } => {
                        self.emitted.push((port, message));
                        end(token);
                    }
                    Emission::End { token, outcome } => {
                        if let Some(token) = token {
                            token.finish(outcome);
                        }
                    }
                    // The bench does not wait: a node that asks for a retry is tested with what it got.
                    Emission::Retry { message, token } => self.retried.push(Delivery::new(message, token)),
                    Emission::Error { error, token } => self.host.report(error, token),
                    Emission::Finish { deferred, outcome } => {
                        let (mut outputs, mut spawned) = (Outputs::default(), Spawned::default());
                        Ctx::new(&self.host, &mut outputs, &mut spawned).finish(deferred, outcome);
                    }
                }
            }
        }
    }

    /// Messages sent since the last look, with their ports.
    pub fn take(&mut self) -> Vec<(usize, Message)> {
        std::mem::take(&mut self.emitted)
    }

    /// Messages the node wants to be given again, since the last look.
    pub fn take_retried(&mut self) -> Vec<Delivery> {
        std::mem::take(&mut self.retried)
    }

    /// Checks that exactly these payloads left on port 0 since the last look, and nothing on other ports.
    ///
    /// # Panics
    /// When something else left.
    #[must_use]
    pub fn emits<V: Into<Value>>(mut self, payloads: impl IntoIterator<Item = V>) -> Self {
        let expected: Vec<(usize, Value)> = payloads.into_iter().map(|payload| (0, payload.into())).collect();
        let sent: Vec<(usize, Value)> =
            self.take().into_iter().map(|(port, message)| (port, message.payload().clone())).collect();
        assert_eq!(sent, expected);
        self
    }

    /// Checks that exactly these messages left since the last look: port and the JSON of the message, without `_msgid`.
    ///
    /// # Panics
    /// When something else left.
    #[must_use]
    pub fn emits_messages(mut self, expected: impl IntoIterator<Item = (usize, Json)>) -> Self {
        let expected: Vec<(usize, Value)> =
            expected.into_iter().map(|(port, json)| (port, Value::from(json))).collect();
        let sent: Vec<(usize, Value)> =
            self.take().into_iter().map(|(port, message)| (port, Value::object(message.body().clone()))).collect();
        assert_eq!(sent, expected);
        self
    }

    /// What the node did besides sending messages, since the last look.
    pub fn seen(&self) -> Seen {
        std::mem::take(&mut lock(&self.host.world).seen)
    }
}

fn end(token: Option<Token>) {
    if let Some(token) = token {
        token.finish(Outcome::Done);
    }
}

/// Runs a future on a small runtime of its own. Node tests are synchronous.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(future),
        Err(error) => panic!("no runtime for the bench: {error}"),
    }
}
