//! A bench to test one node without a runtime: virtual clock, counted ids, recorded effects.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value as Json;
use tidewire_model::{Message, NodeId, Value};

use crate::ctx::{Ctx, Spawned};
use crate::delivery::{Batch, Delivery, Emission, Outputs};
use crate::error::NodeError;
use crate::handles::{
    At, BoxFuture, Changed, Entry, HandleError, Http, HttpRequest, HttpResponse, Log, ProjectionGuard, ProjectionSpec,
    Projections, Subscription,
};
use crate::host::{DebugEntry, Feed, Host, Level, NodeFacts, Services};
use crate::node::{Node, Signal, State, StopReason};
use crate::node_type::{BuildEnv, NodeDef, NodeType};
use crate::registry::Registry;
use crate::status::Status;

/// Everything a node did besides sending messages.
#[derive(Debug, Default)]
pub struct Seen {
    pub statuses: Vec<Status>,
    pub errors: Vec<NodeError>,
    pub logs: Vec<(Level, String)>,
    pub debug: Vec<DebugEntry>,
}

struct World {
    now_ms: i64,
    next_id: u64,
    seen: Seen,
    timers: BTreeMap<(i64, u64), ()>,
    fed: Batch,
    signals: Vec<Signal>,
}

struct BenchHost {
    facts: NodeFacts,
    world: Arc<Mutex<World>>,
    resources: HashMap<String, Arc<dyn Any + Send + Sync>>,
    credentials: HashMap<String, String>,
    services: Services,
}

/// One node under test.
pub struct Bench {
    node: Box<dyn Node>,
    host: BenchHost,
    started: bool,
    emitted: Vec<(usize, Message)>,
    retried: Vec<Delivery>,
}

fn lock(world: &Arc<Mutex<World>>) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
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
        let node = registry.build(def.meta.name, &config, &env).map_err(|error| error.to_string())?;
        let facts =
            NodeFacts { id: "bench".into(), type_name: def.meta.name.into(), name: "".into(), flow: "flow".into() };
        let world = World {
            now_ms: 1_700_000_000_000,
            next_id: 0,
            seen: Seen::default(),
            timers: BTreeMap::new(),
            fed: Batch::new(),
            signals: Vec::new(),
        };
        let nothing = Arc::new(Nothing);
        let services = Services { log: nothing.clone(), projections: nothing.clone(), http: nothing };
        let host = BenchHost {
            facts,
            world: Arc::new(Mutex::new(world)),
            resources: HashMap::new(),
            credentials: HashMap::new(),
            services,
        };
        Ok(Bench { node, host, started: false, emitted: Vec::new(), retried: Vec::new() })
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
    pub fn send_message(mut self, message: Message) -> Self {
        self.begin();
        let mut batch = Batch::from([Delivery::new(message, None)]);
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
                if let Some(token) = delivery.token {
                    token.finish(crate::token::Outcome::Done);
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
                        if let Some(token) = token {
                            token.finish(crate::token::Outcome::Done);
                        }
                    }
                    Emission::End { token, outcome } => {
                        if let Some(token) = token {
                            token.finish(outcome);
                        }
                    }
                    // The bench does not wait: a node that asks for a retry is tested with what it got.
                    Emission::Retry { message, token } => self.retried.push(Delivery::new(message, token)),
                    Emission::Error { error, .. } => lock(&self.host.world).seen.errors.push(error),
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

/// Runs a future on a small runtime of its own. Node tests are synchronous.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(future),
        Err(error) => panic!("no runtime for the bench: {error}"),
    }
}

struct BenchFeed(Arc<Mutex<World>>);

impl Feed for BenchFeed {
    fn feed(&self, deliveries: &mut Batch) -> usize {
        let count = deliveries.len();
        lock(&self.0).fed.append(deliveries);
        count
    }

    fn room(&self) -> usize {
        usize::MAX
    }

    fn wait_room(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(std::future::ready(()))
    }

    fn signal(&self, signal: Signal) {
        lock(&self.0).signals.push(signal);
    }
}

impl Host for BenchHost {
    fn facts(&self) -> &NodeFacts {
        &self.facts
    }

    fn now_ms(&self) -> i64 {
        lock(&self.world).now_ms
    }

    fn next_id(&self) -> u64 {
        let mut world = lock(&self.world);
        world.next_id += 1;
        world.next_id
    }

    fn random(&self) -> u64 {
        // Spread, but the same in every run.
        self.next_id().wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    fn status(&self, status: Status) {
        lock(&self.world).seen.statuses.push(status);
    }

    fn report(&self, error: NodeError) {
        lock(&self.world).seen.errors.push(error);
    }

    fn log(&self, level: Level, text: String) {
        lock(&self.world).seen.logs.push((level, text));
    }

    fn debug(&self, entry: DebugEntry) {
        lock(&self.world).seen.debug.push(entry);
    }

    fn set_timer(&self, key: u64, at_ms: i64) {
        let mut world = lock(&self.world);
        world.timers.retain(|(_, other), ()| *other != key);
        world.timers.insert((at_ms, key), ());
    }

    fn cancel_timer(&self, key: u64) {
        lock(&self.world).timers.retain(|(_, other), ()| *other != key);
    }

    fn feed(&self) -> Arc<dyn Feed> {
        Arc::new(BenchFeed(self.world.clone()))
    }

    fn resource(&self, id: &str) -> Option<Arc<dyn Any + Send + Sync>> {
        self.resources.get(id).cloned()
    }

    fn env(&self, _name: &str) -> Option<String> {
        None
    }

    fn credential(&self, key: &str) -> Option<String> {
        self.credentials.get(key).cloned()
    }

    fn revision(&self) -> u64 {
        1
    }

    fn services(&self) -> &Services {
        &self.services
    }
}

/// Handles of a bench that was given none: they refuse.
struct Nothing;

fn refused<T: Send + 'static>() -> BoxFuture<Result<T, HandleError>> {
    Box::pin(std::future::ready(Err(HandleError::new("this bench has no such handle"))))
}

impl Log for Nothing {
    fn append(
        &self,
        requests: Vec<tidewire_model::append::AppendRequest>,
    ) -> BoxFuture<Vec<Result<tidewire_model::append::Appended, tidewire_model::append::AppendError>>> {
        let refused = requests.iter().map(|_| Err(tidewire_model::append::AppendError::Closed)).collect();
        Box::pin(std::future::ready(refused))
    }

    fn read(
        &self,
        _query: tidewire_model::query::Query,
    ) -> BoxFuture<Result<tidewire_model::query::Page, HandleError>> {
        refused()
    }

    fn subscribe(
        &self,
        _filter: tidewire_model::query::Filter,
        _start: tidewire_model::query::Start,
    ) -> Box<dyn Subscription> {
        Box::new(Nothing)
    }

    fn save_checkpoint(
        &self,
        _name: &str,
        _position: tidewire_model::position::Position,
    ) -> BoxFuture<Result<(), HandleError>> {
        refused()
    }

    fn head(&self) -> tidewire_model::position::Position {
        tidewire_model::position::Position::ZERO
    }
}

impl Subscription for Nothing {
    fn next(&mut self) -> crate::handles::NextEvents<'_> {
        Box::pin(std::future::pending())
    }
}

impl Projections for Nothing {
    fn keep(&self, _spec: ProjectionSpec, _changed: Changed) -> Result<Box<dyn ProjectionGuard>, HandleError> {
        Err(HandleError::new("this bench has no such handle"))
    }

    fn get(&self, _name: &str, _key: &str) -> BoxFuture<Result<Option<Entry>, HandleError>> {
        refused()
    }

    fn list(&self, _name: &str, _limit: usize) -> BoxFuture<Result<Vec<Entry>, HandleError>> {
        refused()
    }

    fn get_at(&self, _name: &str, _key: &str, _at: At) -> BoxFuture<Result<Option<Entry>, HandleError>> {
        refused()
    }
}

impl Http for Nothing {
    fn send(&self, _request: HttpRequest) -> BoxFuture<Result<HttpResponse, HandleError>> {
        refused()
    }
}
