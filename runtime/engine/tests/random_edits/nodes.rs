//! Nodes that enter every message into the ledger, and sources that can be paused.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, LazyLock, Mutex};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire_model::{Message, Value};
use tidewire_node_api::{
    Batch, BuildEnv, BuildError, Category, Ctx, Delivery, Emission, Feed, Kind, Meta, Node, NodeDef, NodeError,
    NodeType, Outcome, Role, State, Token,
};

use crate::ledger::{self, Acks, Ledger, Step};

pub const SOURCES: [&str; 3] = ["src0", "src1", "src2"];

/// Types that edits choose from; steps are the most frequent.
pub const TYPES: &[&str] = &["re-step", "re-step", "re-later", "re-fan"];

pub const NODES: &[NodeDef] = &[
    NodeDef::of::<Pass>(),
    NodeDef::of::<Fan>(),
    NodeDef::of::<Later>(),
    NodeDef::of::<Source>(),
    NodeDef::of::<Shared>(),
];

/// Nodes that a message may go through: loops end there.
pub const LONGEST_WAY: usize = 9;

#[derive(Debug, Default, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Config {
    version: u64,
    config: String,
}

/// What all of these nodes have.
struct Base {
    ledger: Option<Arc<Ledger>>,
    outputs: usize,
    later: bool,
}

impl Base {
    fn new(outputs: usize, later: bool) -> Base {
        Base { ledger: None, outputs, later }
    }

    fn start(&mut self, ctx: &Ctx<'_>) {
        let lab = ctx.env("LAB").unwrap().as_str().unwrap().parse().unwrap();
        self.ledger = Some(ledger::of_lab(lab));
    }

    fn process_batch(&mut self, batch: &mut Batch, ctx: &mut Ctx<'_>) {
        let ledger = self.ledger.clone().unwrap();
        let steps: Vec<Step> = batch.iter().map(|delivery| step_of(&delivery.message)).collect();
        let id = ctx.facts().id.to_string();
        let ways = ledger.enter(&id, &steps, self.outputs, self.later);
        for (delivery, ways) in batch.drain(..).zip(ways) {
            ctx.begin(delivery.token, &delivery.message);
            for (port, way) in ways.into_iter().enumerate() {
                let mut message = delivery.message.clone();
                message.set("way", Value::Int(way));
                if self.later {
                    let token = ctx.split_token();
                    ctx.spawn_ordered(async move {
                        tokio::task::yield_now().await;
                        vec![Emission::Emit { port, message, token }]
                    });
                } else {
                    ctx.emit(port, message);
                }
            }
            ctx.end(Ok(()));
        }
    }
}

fn step_of(message: &Message) -> Step {
    let number = |key| message.get(key).and_then(Value::as_i64).unwrap();
    Step { source: number("source"), number: number("payload"), way: number("way") }
}

pub fn ends(way_length: usize) -> bool {
    way_length >= LONGEST_WAY
}

macro_rules! node {
    ($type:ident, $name:literal, $kind:ident, $outputs:literal, $later:literal) => {
        struct $type(Base);

        impl NodeType for $type {
            type Config = Config;
            const META: Meta = Meta::new($name, $name, Category::Common, Role::Logic, Kind::$kind);

            fn build(_config: Config, _env: &BuildEnv) -> Result<Self, BuildError> {
                Ok($type(Base::new($outputs, $later)))
            }
        }

        impl Node for $type {
            fn start(&mut self, _state: Option<State>, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
                self.0.start(ctx);
                if Kind::$kind == Kind::Source {
                    FEEDS
                        .lock()
                        .unwrap()
                        .insert(key(self.0.ledger.as_ref().unwrap(), ctx.facts().id.as_str()), ctx.feed());
                }
                Ok(())
            }

            fn process(&mut self, _message: Message, _ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
                Ok(())
            }

            fn process_batch(&mut self, batch: &mut Batch, ctx: &mut Ctx<'_>) {
                self.0.process_batch(batch, ctx);
            }
        }
    };
}

node!(Pass, "re-step", Pure, 1, false);
node!(Fan, "re-fan", Pure, 2, false);
node!(Later, "re-later", Pure, 1, true);
node!(Source, "re-source", Source, 1, false);

/// A config node.
struct Shared;

impl NodeType for Shared {
    type Config = Config;
    const META: Meta = Meta::new("re-config", "re-config", Category::Common, Role::Logic, Kind::Pure);

    fn build(_config: Config, _env: &BuildEnv) -> Result<Self, BuildError> {
        Ok(Shared)
    }
}

impl Node for Shared {
    fn process(&mut self, _message: Message, _ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        Ok(())
    }
}

type Feeds = HashMap<(u64, String), Arc<dyn Feed>>;

/// Ways into the sources, as connections would hold them.
static FEEDS: LazyLock<Mutex<Feeds>> = LazyLock::new(Mutex::default);

fn key(ledger: &Ledger, source: &str) -> (u64, String) {
    (ledger.lab, source.to_owned())
}

/// Feeds numbers without pause, but waits while too many are under way.
pub async fn feed(ledger: Arc<Ledger>, source: &'static str) {
    let index = i64::try_from(SOURCES.iter().position(|other| *other == source).unwrap()).unwrap();
    let root = ledger.root(source);
    let sink = Arc::new(Acks(ledger.clone(), index));
    let mut batch = Batch::new();
    while !ledger.pause.load(Ordering::Relaxed) {
        tokio::time::sleep(std::time::Duration::from_micros(200)).await;
        let Some(feed) = FEEDS.lock().unwrap().get(&key(&ledger, source)).cloned() else { continue };
        if batch.is_empty() && ledger.under_way() < 400 {
            let first = ledger.next_numbers(source, 16);
            batch.extend((first..first + 16).map(|number| {
                let mut message = Message::with_payload(u64::try_from(number).unwrap(), number);
                message.set("source", index);
                message.set("way", root);
                Delivery::from_source(message, Some(Token::new(sink.clone(), u64::try_from(number).unwrap())))
            }));
        }
        feed.feed(&mut batch);
    }
    // What no source took has never begun.
    batch.into_iter().filter_map(|delivery| delivery.token).for_each(|token| token.finish(Outcome::Done));
}
