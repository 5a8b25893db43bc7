//! Test nodes, a log in memory, and an engine over them.

use std::collections::HashMap;
use std::future::{pending, ready};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire_engine::{DeployKind, DeployRequest, Deployed, Engine, EngineConfig, NoCredentials, SystemClock};
use tidewire_model::Message;
use tidewire_model::append::{AppendError, AppendRequest, Appended};
use tidewire_model::event::Event;
use tidewire_model::flow::FlowDocument;
use tidewire_model::position::Position;
use tidewire_model::query::{Filter, Page, Query, Start};
use tidewire_node_api::handles::{
    At, BoxFuture, Changed, Entry, HandleError, Http, HttpRequest, HttpResponse, Log, ProjectionGuard, ProjectionSpec,
    Projections, Subscription,
};
use tidewire_node_api::{
    AckSink, Batch, BuildEnv, BuildError, Category, Ctx, Delivery, Emission, Kind, Meta, Node, NodeDef, NodeError,
    NodeType, Outcome, Registry, Role, Services, Signal, State, StopReason, Token,
};

type Numbers = HashMap<(u64, String), Vec<i64>>;

/// Numbers that a sink saw, by engine and node id.
static SEEN: LazyLock<Mutex<Numbers>> = LazyLock::new(Mutex::default);
static ACKED: LazyLock<Mutex<HashMap<(u64, String), u64>>> = LazyLock::new(Mutex::default);
static LABS: AtomicU64 = AtomicU64::new(0);

pub struct Lab {
    pub engine: Engine,
    log: Arc<TestLog>,
    number: u64,
}

pub fn document(json: serde_json::Value) -> FlowDocument {
    FlowDocument::from_json(json).unwrap()
}

pub fn deploy(document: FlowDocument) -> DeployRequest {
    DeployRequest {
        document,
        kind: DeployKind::Nodes,
        expected_rev: None,
        author: "test".into(),
        restored: None,
        touched: Vec::new(),
    }
}

impl Lab {
    pub fn new() -> Lab {
        Lab::over(Arc::new(TestLog::default()))
    }

    pub fn reopened(&self) -> Lab {
        Lab::over(self.log.clone())
    }

    fn over(log: Arc<TestLog>) -> Lab {
        let number = LABS.fetch_add(1, Ordering::Relaxed);
        let none = Arc::new(TestLog::default());
        let config = EngineConfig {
            registry: Arc::new(Registry::new(NODES).unwrap()),
            services: Services { log: log.clone(), projections: none.clone(), http: none, broker: None },
            clock: Arc::new(SystemClock),
            credentials: Arc::new(NoCredentials),
            // Test nodes learn from it which lab they are in.
            env: Arc::new(move |name| (name == "LAB").then(|| number.to_string())),
            runtime: tokio::runtime::Handle::current(),
            safe: false,
        };
        Lab { engine: Engine::new(config), log, number }
    }

    pub async fn deploy(&self, flow: serde_json::Value) -> Deployed {
        self.engine.deploy(deploy(document(flow))).await.unwrap()
    }

    pub async fn send_numbers(&self, node: &str, numbers: std::ops::Range<i64>) {
        for number in numbers {
            let id = u64::try_from(number).unwrap();
            self.engine.send(node, Message::with_payload(id, number)).await.unwrap();
        }
    }

    pub fn seen(&self, node: &str) -> Vec<i64> {
        SEEN.lock().unwrap().get(&(self.number, node.to_owned())).cloned().unwrap_or_default()
    }

    pub fn acked(&self, node: &str) -> u64 {
        ACKED.lock().unwrap().get(&(self.number, node.to_owned())).copied().unwrap_or(0)
    }

    pub async fn wait_for(&self, node: &str, count: usize) {
        self.wait_for_sum(&[node], count).await;
    }

    pub async fn wait_for_sum(&self, nodes: &[&str], count: usize) {
        let what = format!("{nodes:?} saw {count}");
        self.wait_until(&what, || nodes.iter().map(|node| self.seen(node).len()).sum::<usize>() >= count).await;
    }

    pub async fn wait_until(&self, what: &str, holds: impl Fn() -> bool) {
        for _ in 0..6_000 {
            if holds() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let counts: Vec<_> = SEEN
            .lock()
            .unwrap()
            .iter()
            .filter(|(key, _)| key.0 == self.number)
            .map(|(key, seen)| (key.1.clone(), seen.len()))
            .collect();
        panic!("not within 30 s: {what}; seen: {counts:?}");
    }
}

const NODES: &[NodeDef] = &[
    NodeDef::of::<Pass>(),
    NodeDef::of::<Sink>(),
    NodeDef::of::<Source>(),
    NodeDef::of::<Count>(),
    NodeDef::of::<Panics>(),
    NodeDef::of::<Gate>(),
    NodeDef::of::<Countdown>(),
    NodeDef::of::<Later>(),
    NodeDef::of::<Stuck>(),
    NodeDef::of::<Hesitant>(),
];

/// Configuration of all test nodes.
#[derive(Debug, Default, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Config {
    count: i64,
    every: i64,
    version: i64,
    acked: bool,
}

const fn meta(name: &'static str, kind: Kind) -> Meta {
    Meta::new(name, name, Category::Common, Role::Logic, kind)
}

macro_rules! node_type {
    ($type:ident, $name:literal, $kind:ident, |$config:ident| $build:expr) => {
        impl NodeType for $type {
            type Config = Config;
            const META: Meta = meta($name, Kind::$kind);

            fn build($config: Config, _env: &BuildEnv) -> Result<Self, BuildError> {
                Ok($build)
            }
        }
    };
}

fn lab(ctx: &Ctx<'_>) -> u64 {
    ctx.env("LAB").unwrap().as_str().unwrap().parse().unwrap()
}

struct Pass;
node_type!(Pass, "pass", Pure, |_config| Pass);
impl Node for Pass {
    fn process(&mut self, message: Message, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        ctx.emit(0, message);
        Ok(())
    }
}

struct Sink;
node_type!(Sink, "sink", Effect, |_config| Sink);
impl Node for Sink {
    fn process(&mut self, message: Message, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        let key = (lab(ctx), ctx.facts().id.to_string());
        SEEN.lock().unwrap().entry(key).or_default().push(message.payload().as_i64().unwrap());
        Ok(())
    }
}

/// Counts messages, over its restarts; `every` says how often it fails to start first.
struct Count(i64, i64);
node_type!(Count, "count", Stateful, |config| Count(0, config.every));
impl Node for Count {
    fn start(&mut self, state: Option<State>, _ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        self.1 -= 1;
        if self.1 >= 0 {
            return Err(NodeError::new("not yet"));
        }
        if let Some(state) = state {
            self.0 = i64::from_le_bytes(state.data[..].try_into().unwrap());
        }
        Ok(())
    }

    fn process(&mut self, mut message: Message, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        self.0 += 1;
        message.set_payload(self.0);
        ctx.emit(0, message);
        Ok(())
    }

    fn stop(&mut self, _reason: StopReason, _ctx: &mut Ctx<'_>) -> Option<State> {
        Some(State { version: 1, data: Bytes::copy_from_slice(&self.0.to_le_bytes()) })
    }
}

struct Panics(i64);
node_type!(Panics, "panics", Pure, |config| Panics(config.every));
impl Node for Panics {
    fn process(&mut self, message: Message, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        assert!(message.payload().as_i64().unwrap() % self.0 != 0, "told to panic");
        ctx.emit(0, message);
        Ok(())
    }
}

/// Holds everything up until it is switched on.
struct Gate(Arc<tokio::sync::Semaphore>);
node_type!(Gate, "gate", Pure, |_config| Gate(Arc::new(tokio::sync::Semaphore::new(0))));
impl Node for Gate {
    fn process(&mut self, message: Message, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        let (open, token) = (self.0.clone(), ctx.take_token());
        ctx.spawn_ordered(async move {
            let _permit = open.acquire().await.unwrap();
            vec![Emission::Emit { port: 0, message, token }]
        });
        Ok(())
    }

    fn signal(&mut self, _signal: Signal, _ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        self.0.add_permits(1_000);
        Ok(())
    }
}

/// Sends its number minus one round, until it is zero.
struct Countdown;
node_type!(Countdown, "countdown", Pure, |_config| Countdown);
impl Node for Countdown {
    fn process(&mut self, mut message: Message, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        let number = message.payload().as_i64().unwrap();
        message.set_payload(number - 1);
        ctx.emit(usize::from(number == 0), message);
        Ok(())
    }
}

/// Sends on from asynchronous work.
struct Later;
node_type!(Later, "later", Pure, |_config| Later);
impl Node for Later {
    fn process(&mut self, message: Message, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        let token = ctx.take_token();
        ctx.spawn(async move {
            tokio::task::yield_now().await;
            vec![Emission::Emit { port: 0, message, token }]
        });
        Ok(())
    }
}

/// Wants every message again that comes within the first second and a half of its first one.
struct Hesitant(Option<i64>);
node_type!(Hesitant, "hesitant", Pure, |_config| Hesitant(None));
impl Node for Hesitant {
    fn process(&mut self, message: Message, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        let now = ctx.now_ms();
        let first = *self.0.get_or_insert(now);
        let token = ctx.take_token();
        let emission = if now - first < 1_500 {
            Emission::Retry { message, token }
        } else {
            Emission::Emit { port: 0, message, token }
        };
        ctx.spawn_ordered(ready(vec![emission]));
        Ok(())
    }
}

/// Never finishes what it starts.
struct Stuck;
node_type!(Stuck, "stuck", Pure, |_config| Stuck);
impl Node for Stuck {
    fn process(&mut self, _message: Message, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        ctx.spawn(pending());
        Ok(())
    }
}

/// Feeds numbers to itself from a task of its own, as a connection would.
struct Source {
    config: Config,
    fed: bool,
}
node_type!(Source, "source", Source, |config| Source { config, fed: false });
impl Node for Source {
    fn start(&mut self, _state: Option<State>, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        if std::mem::replace(&mut self.fed, true) {
            return Ok(());
        }
        let (feed, count) = (ctx.feed(), self.config.count);
        let key = (lab(ctx), ctx.facts().id.to_string());
        let sink: Option<Arc<dyn AckSink>> = self.config.acked.then(|| Arc::new(Acks(key)) as Arc<dyn AckSink>);
        tokio::spawn(async move {
            let mut batch = Batch::new();
            for number in 0..count {
                let id = u64::try_from(number).unwrap();
                let token = sink.clone().map(|sink| Token::new(sink, id));
                batch.push_back(Delivery::from_source(Message::with_payload(id, number), token));
                if batch.len() == 50 {
                    feed.feed(&mut batch);
                    while !batch.is_empty() {
                        feed.wait_room().await;
                        feed.feed(&mut batch);
                    }
                    tokio::task::yield_now().await;
                }
            }
            while !batch.is_empty() {
                feed.feed(&mut batch);
                feed.wait_room().await;
            }
        });
        Ok(())
    }

    fn process(&mut self, _message: Message, _ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        Ok(())
    }
}

struct Acks((u64, String));

impl AckSink for Acks {
    fn complete(&self, _id: u64, outcome: Outcome) {
        if outcome < Outcome::Failed {
            *ACKED.lock().unwrap().entry(self.0.clone()).or_default() += 1;
        }
    }
}

/// Keeps one stream of events, as far as the engine itself needs a log.
#[derive(Default)]
struct TestLog(Mutex<Vec<Arc<Event>>>);

impl Log for TestLog {
    fn append(&self, requests: Vec<AppendRequest>) -> BoxFuture<Vec<Result<Appended, AppendError>>> {
        let mut events = self.0.lock().unwrap();
        let mut results = Vec::new();
        for request in requests {
            for event in request.events {
                let position = Position::new(events.len() as u64 + 1);
                events.push(Arc::new(Event {
                    id: "01ARZ3NDEKTSV4RRFFQ69G5FAV".into(),
                    source: event.source,
                    event_type: event.event_type,
                    stream: request.stream.clone(),
                    time: 0,
                    position,
                    version: position.get(),
                    recorded_time: 0,
                    causation_id: None,
                    correlation_id: None,
                    actor: event.actor,
                    flow_rev: event.flow_rev,
                    node_id: None,
                    data: event.data,
                    data_content_type: event.data_content_type,
                    raw: None,
                }));
                results.push(Ok(Appended {
                    first_position: position,
                    last_position: position,
                    version: position.get(),
                    deduplicated: false,
                }));
            }
        }
        Box::pin(ready(results))
    }

    fn read(&self, _query: Query) -> BoxFuture<Result<Page, HandleError>> {
        let events: Vec<_> = self.0.lock().unwrap().last().cloned().into_iter().collect();
        let head = Position::new(events.len() as u64);
        Box::pin(ready(Ok(Page { events, next: None, head })))
    }

    fn subscribe(&self, _filter: Filter, _start: Start) -> Box<dyn Subscription> {
        Box::new(NoSubscription)
    }

    fn save_checkpoint(&self, _name: &str, _position: Position) -> BoxFuture<Result<(), HandleError>> {
        Box::pin(ready(Ok(())))
    }

    fn head(&self) -> Position {
        Position::new(self.0.lock().unwrap().len() as u64)
    }
}

struct NoSubscription;

impl Subscription for NoSubscription {
    fn next(&mut self) -> tidewire_node_api::handles::NextEvents<'_> {
        Box::pin(pending())
    }
}

fn refused<T: Send + 'static>() -> BoxFuture<Result<T, HandleError>> {
    Box::pin(ready(Err(HandleError::new("not in this test"))))
}

impl Projections for TestLog {
    fn keep(&self, _spec: ProjectionSpec, _changed: Changed) -> Result<Box<dyn ProjectionGuard>, HandleError> {
        Err(HandleError::new("not in this test"))
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

impl Http for TestLog {
    fn send(&self, _request: HttpRequest) -> BoxFuture<Result<HttpResponse, HandleError>> {
        refused()
    }
}
