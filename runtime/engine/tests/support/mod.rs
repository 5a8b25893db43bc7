//! Test nodes, a log in memory, and an engine over them.

#![allow(dead_code, reason = "each test binary uses its part")]

mod nodes;

use std::collections::HashMap;
use std::future::{pending, ready};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;
use tidewire_node_api::selection::{Selected, Selection, SelectionError};

use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire_engine::log_handle::LogHandle;
use tidewire_engine::{DeployKind, DeployRequest, Deployed, Engine, EngineConfig, NoCredentials, SystemClock};
use tidewire_log::{EventLog, MemoryLog};
use tidewire_model::Message;
use tidewire_model::flow::FlowDocument;
use tidewire_model::position::Position;
use tidewire_model::query::{Filter, Query};
use tidewire_node_api::handles::{
    At, BoxFuture, Changed, Entry, HandleError, Http, HttpRequest, HttpResponse, ProjectionGuard, ProjectionSpec,
    Projections,
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
    log: Arc<MemoryLog>,
    pub number: u64,
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
        Lab::over(Arc::new(MemoryLog::new()), NODES)
    }

    pub fn reopened(&self) -> Lab {
        Lab::over(self.log.clone(), NODES)
    }

    /// A lab with other nodes.
    pub fn with(nodes: &[NodeDef]) -> Lab {
        Lab::over(Arc::new(MemoryLog::new()), nodes)
    }

    fn over(log: Arc<MemoryLog>, nodes: &[NodeDef]) -> Lab {
        let number = LABS.fetch_add(1, Ordering::Relaxed);
        let none = Arc::new(Nothing);
        let config = EngineConfig {
            registry: Arc::new(Registry::new(nodes).unwrap()),
            services: Services {
                log: Arc::new(LogHandle::new(log.clone())),
                projections: none.clone(),
                http: none,
                broker: None,
            },
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

    /// Types of the events in a stream, oldest first.
    pub async fn events(&self, stream: &str) -> Vec<String> {
        let page = self.log.read(Query::forwards(Filter::stream(stream), Position::new(1), 1_000)).await.unwrap();
        page.events.iter().map(|event| event.event_type.to_string()).collect()
    }

    pub async fn wait_event(&self, stream: &str, event_type: &str) {
        let mut head = self.log.watch_head();
        while !self.events(stream).await.iter().any(|found| found == event_type) {
            tokio::time::timeout(Duration::from_secs(30), head.changed()).await.expect("an event in time").unwrap();
        }
    }

    /// Number of records whose key begins with this.
    pub async fn kept(&self, prefix: &str) -> usize {
        self.log.states(prefix.into()).await.unwrap().len()
    }

    /// Waits until a record ends in this number.
    pub async fn wait_kept(&self, key: &str, number: i64) {
        for _ in 0..6_000 {
            let record = self.log.state(key.into()).await.unwrap();
            if record.is_some_and(|record| record.ends_with(&number.to_le_bytes())) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("record {key} did not become {number} within 30 s");
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

pub const NODES: &[NodeDef] = &[
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
    NodeDef::of::<nodes::Hears>(),
    NodeDef::of::<nodes::Keeps>(),
    NodeDef::of::<nodes::Fails>(),
    NodeDef::of::<nodes::Named>(),
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

pub const fn meta(name: &'static str, kind: Kind) -> Meta {
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

/// Handles that are of no use here.
struct Nothing;

fn refused<T: Send + 'static>() -> BoxFuture<Result<T, HandleError>> {
    Box::pin(ready(Err(HandleError::new("not in this test"))))
}

impl Projections for Nothing {
    fn keep(&self, _spec: ProjectionSpec, _changed: Changed) -> Result<Box<dyn ProjectionGuard>, HandleError> {
        Err(HandleError::new("not in this test"))
    }

    fn get(&self, _name: &str, _key: &str) -> BoxFuture<Result<Option<Entry>, HandleError>> {
        refused()
    }

    fn select(
        &self,
        _name: &str,
        _selection: Selection,
        _at: Option<At>,
    ) -> BoxFuture<Result<Selected, SelectionError>> {
        Box::pin(std::future::ready(Ok(Selected::default())))
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
