//! Figures of the engine itself: cost of a hop, of a fan-out copy and of a tap, time of a deploy and what one loses under
//! load, memory of an idle node. Each is beside its limit, where it has one.
//!
//! In-process and without a network; `tidewire bench` prints them. Nodes of its own, so that no node type is measured.

mod limits;
mod load;
pub mod neighbour;
mod nodes;

use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;
use serde_json::{Value as Json, json};
use tidewire_model::flow::FlowDocument;
use tidewire_model::{Message, NodeId};
use tidewire_node_api::{NodeDef, Registry, Services};

use self::nodes::{End, Pass};
use crate::{DeployKind, DeployRequest, Engine, EngineConfig, NoCredentials, SystemClock};

/// One measured figure.
#[derive(Debug, Clone, Serialize)]
pub struct Figure {
    pub name: String,
    pub value: f64,
    pub unit: &'static str,
    /// The best that is possible, or the goal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit_name: Option<&'static str>,
}

const MESSAGES: u64 = 200_000;
const WIDTH: u64 = 50;

/// Messages and nodes for the cost of taps: with them on, a message costs a hundred times as much.
const TAPPED: (u64, u64) = (20_000, 10);

/// Measures everything. `services` are those of the program, over a log that may be thrown away.
///
/// # Errors
/// When a deploy is refused, which means that the log does not work.
pub async fn figures(services: Services) -> Result<Vec<Figure>, crate::DeployError> {
    // First: memory that other figures have used and given back would hide what the nodes take.
    let mut figures = vec![figure("idle_node_bytes", idle_node_bytes(&services).await?, "bytes")];
    let short = pass_messages(&services, &chain(1), MESSAGES, false).await?;
    let long = pass_messages(&services, &chain(WIDTH + 1), MESSAGES, false).await?;
    let hop = (long - short) / WIDTH as f64;
    let least = limits::batch_move_ns();
    figures.push(figure("hop_ns", hop, "ns").beside(least, "a batch through a locked queue, one thread"));
    let narrow = pass_messages(&services, &fan_out(1), MESSAGES, false).await?;
    let wide = pass_messages(&services, &fan_out(WIDTH + 1), MESSAGES, false).await?;
    let copy = figure("fanout_copy_ns", (wide - narrow) / WIDTH as f64, "ns");
    figures.push(copy.beside(limits::clone_ns(), "reference counted up and down, one thread"));
    let (messages, nodes) = TAPPED;
    let short = pass_messages(&services, &chain(1), messages, true).await?;
    let long = pass_messages(&services, &chain(nodes + 1), messages, true).await?;
    figures.push(figure("taps_on_hop_ns", (long - short) / nodes as f64, "ns").beside(hop, "with taps off"));
    for nodes in [100, 1_000, 10_000] {
        let time = figure(&format!("deploy_1_of_{nodes}_ms"), deploy_one_of(&services, nodes).await?, "ms");
        figures.push(if nodes == 1_000 { time.beside(5.0, "goal") } else { time });
    }
    figures.extend(load::figures(&services).await?);
    Ok(figures)
}

impl Figure {
    fn beside(self, limit: f64, name: &'static str) -> Figure {
        Figure { limit: Some(limit), limit_name: Some(name), ..self }
    }
}

fn figure(name: &str, value: f64, unit: &'static str) -> Figure {
    Figure { name: name.to_owned(), value, unit, limit: None, limit_name: None }
}

fn engine(services: &Services) -> Engine {
    engine_on(services, tokio::runtime::Handle::current())
}

fn engine_on(services: &Services, runtime: tokio::runtime::Handle) -> Engine {
    let [panics, endless, never] = neighbour::NODES;
    let registry = Registry::new(&[NodeDef::of::<Pass>(), NodeDef::of::<End>(), panics, endless, never]);
    Engine::new(EngineConfig {
        registry: Arc::new(registry.expect("the node types of the bench have sound schemas")),
        services: services.clone(),
        clock: Arc::new(SystemClock),
        credentials: Arc::new(NoCredentials),
        env: Arc::new(|_| None),
        runtime,
        safe: false,
    })
}

async fn deploy(engine: &Engine, nodes: Json) -> Result<(), crate::DeployError> {
    let document = FlowDocument::from_json(nodes).expect("the flows of the bench are well formed");
    // What is in the log from an earlier figure is what a deploy builds on.
    if engine.flows().rev.is_empty() {
        engine.load().await.map_err(|error| crate::DeployError::Log(error.to_string()))?;
    }
    let author = "bench".to_owned();
    let request = DeployRequest {
        document,
        kind: DeployKind::Nodes,
        expected_rev: None,
        author,
        restored: None,
        touched: Vec::new(),
    };
    engine.deploy(request).await.map(|_| ())
}

fn chain(length: u64) -> Json {
    let mut nodes: Vec<Json> = (0..length)
        .map(|i| json!({"id": format!("n{i}"), "type": "pass", "wires": [[format!("n{}", i + 1)]]}))
        .collect();
    nodes.push(json!({"id": format!("n{length}"), "type": "end", "wires": []}));
    nodes.into()
}

fn fan_out(width: u64) -> Json {
    let targets: Vec<String> = (0..width).map(|i| format!("e{i}")).collect();
    let mut nodes = vec![json!({"id": "n0", "type": "pass", "wires": [targets]})];
    nodes.extend((0..width).map(|i| json!({"id": format!("e{i}"), "type": "end", "wires": []})));
    nodes.into()
}

/// Nanoseconds per message through a flow that starts at `n0`; `tapped`: with a tap on every node.
async fn pass_messages(
    services: &Services,
    flow: &Json,
    messages: u64,
    tapped: bool,
) -> Result<f64, crate::DeployError> {
    let engine = engine(services);
    deploy(&engine, flow.clone()).await?;
    let entries = flow.as_array().map_or(&[][..], Vec::as_slice);
    let ends = entries.iter().filter(|node| node["type"] == "end").count();
    let ids = entries.iter().filter_map(|node| node["id"].as_str()).map(NodeId::from);
    let watcher = tapped.then(|| {
        let mut tap = engine.tap(ids);
        tokio::spawn(async move { while tap.next().await.is_some() {} })
    });
    nodes::expect(messages * ends as u64);
    let began = Instant::now();
    for id in 0..messages {
        // The flow was just deployed; it cannot be gone.
        let _ = engine.send("n0", Message::with_payload(id, 1)).await;
        if id % 64 == 0 {
            tokio::task::yield_now().await;
        }
    }
    nodes::all_ended().await;
    let elapsed = began.elapsed();
    if let Some(watcher) = watcher {
        watcher.abort();
    }
    deploy(&engine, json!([])).await?;
    Ok(elapsed.as_nanos() as f64 / messages as f64)
}

/// Milliseconds of a deploy that changes one node of many, the median of five.
async fn deploy_one_of(services: &Services, nodes: usize) -> Result<f64, crate::DeployError> {
    let engine = engine(services);
    let flow = |changed: usize| -> Json {
        let node = |i: usize| {
            let next = if i % 10 == 9 { vec![] } else { vec![format!("n{}", i + 1)] };
            json!({"id": format!("n{i}"), "type": "pass", "x": 1, "y": 1, "round": if i == 0 { changed } else { 0 }, "wires": [next]})
        };
        (0..nodes).map(node).collect()
    };
    deploy(&engine, flow(0)).await?;
    let mut times = Vec::new();
    for round in 1..=5 {
        let nodes = flow(round);
        let began = Instant::now();
        deploy(&engine, nodes).await?;
        times.push(began.elapsed().as_secs_f64() * 1_000.0);
    }
    deploy(&engine, json!([])).await?;
    times.sort_by(f64::total_cmp);
    Ok(times.get(2).copied().unwrap_or(f64::NAN))
}

/// Bytes that one more node takes that does nothing: its entry in the flows, its slot and its task.
async fn idle_node_bytes(services: &Services) -> Result<f64, crate::DeployError> {
    // From few to many: the memory that the first ones take may be left over from the start of the process.
    const FEW: usize = 10_000;
    const MANY: usize = 40_000;
    let engine = engine(services);
    let mut resident = Vec::new();
    for count in [FEW, MANY] {
        let nodes = (0..count).map(|i| json!({"id": format!("n{i}"), "type": "pass", "wires": [[]]})).collect();
        deploy(&engine, nodes).await?;
        resident.push(resident_bytes());
    }
    deploy(&engine, json!([])).await?;
    let grown: f64 = resident.iter().rev().copied().reduce(|many, few| many - few).unwrap_or(f64::NAN);
    Ok(grown / (MANY - FEW) as f64)
}

/// Resident memory of this process; 0 where the system does not tell.
fn resident_bytes() -> f64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: f64 = statm.split_whitespace().nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0.0);
    pages * 4_096.0
}
