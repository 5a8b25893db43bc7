//! What runs away in one flow does not hold up the others.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use tidewire_engine::projections::ProjectionService;
use tidewire_engine::{DeployKind, DeployRequest, Engine};
use tidewire_log::{EventLog, MemoryLog};
use tidewire_model::Message;
use tidewire_model::append::AppendRequest;
use tidewire_model::event::{NewEvent, StreamName};
use tidewire_model::flow::FlowDocument;
use tidewire_node_api::{
    BuildEnv, BuildError, Category, Ctx, Kind, Meta, Node, NodeDef, NodeError, NodeType, RUNAWAY, Role,
};

use crate::testing;

/// Beats of a task that shares the thread of the nodes.
static BEATS: AtomicU64 = AtomicU64::new(0);
/// Beats while the spinning node worked on a message, and when it began and ended.
static SPINS: Mutex<Vec<(u64, Instant, Instant)>> = Mutex::new(Vec::new());

/// Works for 20 ms on each message, and says that it was stopped.
struct Spin;

#[derive(Default, Serialize, Deserialize, JsonSchema)]
struct NoConfig {}

impl NodeType for Spin {
    type Config = NoConfig;
    const META: Meta = Meta::new("spin", "Spin", Category::Common, Role::Logic, Kind::Pure);

    fn build(_config: NoConfig, _env: &BuildEnv) -> Result<Self, BuildError> {
        Ok(Spin)
    }
}

impl Node for Spin {
    fn process(&mut self, message: Message, _ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        let (began, beats) = (Instant::now(), BEATS.load(Ordering::Relaxed));
        while began.elapsed() < Duration::from_millis(20) {
            std::hint::spin_loop();
        }
        let beats = BEATS.load(Ordering::Relaxed) - beats;
        SPINS.lock().unwrap().push((beats, began, Instant::now()));
        Err(NodeError::new("stopped").with_code(RUNAWAY).on(message))
    }
}

struct Lab {
    engine: Engine,
    log: Arc<dyn EventLog>,
    projections: ProjectionService,
}

async fn lab(flow: Json) -> Lab {
    let log: Arc<dyn EventLog> = Arc::new(MemoryLog::new());
    let projections = ProjectionService::new(Arc::clone(&log), tokio::runtime::Handle::current());
    let engine = testing::engine(testing::services(&log, &projections), &[NodeDef::of::<Spin>()]);
    let document = FlowDocument::from_json(flow).unwrap();
    let (kind, author) = (DeployKind::Nodes, "test".to_owned());
    let request = DeployRequest { document, kind, expected_rev: None, author, restored: None, touched: Vec::new() };
    assert!(engine.deploy(request).await.unwrap().problems.is_empty());
    Lab { engine, log, projections }
}

async fn beat() {
    loop {
        BEATS.fetch_add(1, Ordering::Relaxed);
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn work_that_runs_too_long_moves_aside_and_rests() {
    let lab = lab(json!([{"id": "f", "type": "tab"}, {"id": "spin", "type": "spin", "z": "f", "wires": [[]]}])).await;
    let beating = tokio::spawn(beat());
    for number in 0..8 {
        lab.engine.send("spin", Message::with_payload(number, 1)).await.unwrap();
    }
    while SPINS.lock().unwrap().len() < 8 {
        tokio::task::yield_now().await;
    }
    beating.abort();
    let spins = SPINS.lock().unwrap().clone();
    assert!(spins[4..].iter().any(|(beats, ..)| *beats > 0), "the thread they share goes on: {spins:?}");
    for pair in spins.windows(2) {
        let (worked, rested) = (pair[0].2 - pair[0].1, pair[1].1 - pair[0].2);
        assert!(rested * 10 >= worked * 85, "rested {rested:?} after {worked:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endless_script_leaves_the_other_flows_their_pace() {
    let lab = lab(json!([
        {"id": "f", "type": "tab"},
        {"id": "loop", "type": "projector", "z": "f", "projection": "loop", "category": "thing", "reducer": "script",
            "script": "fn apply(state, event) { let x = 0; loop { x += 1; if x > 100 { x = 0; } } }", "wires": [[]]},
        {"id": "in", "type": "junction", "z": "f", "wires": [["set"]]},
        {"id": "set", "type": "change", "z": "f", "wires": [[]],
            "rules": [{"t": "set", "p": "seen", "pt": "msg", "to": "true", "tot": "bool"}]},
    ]))
    .await;
    let quiet = pass(&lab.engine).await;
    for number in 0..200 {
        let event = NewEvent::json("reading-reported", &json!({"n": number}));
        let stream = StreamName::new("thing-a").unwrap();
        lab.log.append(vec![AppendRequest::one(stream, event)]).await.unwrap();
    }
    let parked = || lab.projections.parked("loop", 10).unwrap();
    while parked().is_empty() {
        tokio::task::yield_now().await;
    }
    let noisy = pass(&lab.engine).await;
    println!("alone {quiet:?}, beside an endless script {noisy:?}");
    let reason = parked().remove(0).reason;
    assert!(reason.contains("ran longer than 100 ms") || reason.contains("1000000 steps"), "{reason}");
    assert!(lab.projections.status("loop").unwrap().unwrap().lag > 100, "it takes its time");
}

/// How long messages take through the flow, with nothing else to do.
async fn pass(engine: &Engine) -> Duration {
    const MESSAGES: u64 = 20_000;
    let received =
        || engine.stats().nodes.iter().find(|node| node.id.as_str() == "set").map_or(0, |node| node.received);
    let (began, before) = (Instant::now(), received());
    for number in 0..MESSAGES {
        engine.send("in", Message::with_payload(number, 1)).await.unwrap();
    }
    while received() < before + MESSAGES {
        tokio::task::yield_now().await;
    }
    began.elapsed()
}
