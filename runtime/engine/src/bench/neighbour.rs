//! What bad neighbours cost the others: a node that panics on every tenth message, a script that never ends, and a
//! consumer that never reads, all fed as fast as they take it, beside a flow that does its work.

use std::time::{Duration, Instant};

use serde_json::json;
use tidewire_model::Message;
use tidewire_node_api::{BuildEnv, BuildError, Ctx, Node, NodeDef, NodeError, NodeType, RUNAWAY, Services};
use tidewire_script::Script;
use tokio::runtime::{Builder, Handle};

use super::nodes::{NoConfig, ended, meta};
use super::{Figure, deploy, figure};
use crate::{DeployError, Engine};

const GOOD: &str = "good";

/// Node types of the bad neighbours.
pub const NODES: [NodeDef; 3] = [NodeDef::of::<Panics>(), NodeDef::of::<Endless>(), NodeDef::of::<Never>()];

/// How long one measurement lasts: several rounds of the script that never ends and of its rest.
const MEASURED: Duration = Duration::from_secs(4);

/// How often it is measured without and with bad neighbours; the median counts.
const PAIRS: usize = 3;

/// How long bad neighbours are left to get under way.
const LED_IN: Duration = Duration::from_millis(300);

/// The good flow's throughput beside bad neighbours, as a share of that without them; and the time of a deploy then.
/// `threads` is how many run nodes.
///
/// # Errors
/// When a deploy is refused, which means that the log does not work.
pub async fn figures(services: &Services, threads: usize) -> Result<Vec<Figure>, DeployError> {
    let mut ratios = Vec::new();
    let mut deploys = Vec::new();
    for _ in 0..PAIRS {
        let alone = run(services, threads, false).await?;
        let beside = run(services, threads, true).await?;
        ratios.push(beside.throughput / alone.throughput);
        deploys.push(beside.deploy_ms);
    }
    let median = |figures: &mut Vec<f64>| {
        figures.sort_by(f64::total_cmp);
        figures.get(PAIRS / 2).copied().unwrap_or(f64::NAN)
    };
    let ratio = figure("neighbour_throughput_percent", 100.0 * median(&mut ratios), "%").beside(90.0, "goal, at least");
    Ok(vec![ratio, figure("neighbour_deploy_ms", median(&mut deploys), "ms")])
}

struct Run {
    /// Messages a second at the end of the good flow.
    throughput: f64,
    deploy_ms: f64,
}

/// On a runtime of its own, with as many workers as the server gives its flows.
async fn run(services: &Services, threads: usize, bad: bool) -> Result<Run, DeployError> {
    let runtime = Builder::new_multi_thread().worker_threads(threads).enable_all().build();
    let runtime = runtime.map_err(|error| DeployError::Log(error.to_string()))?;
    let engine = super::engine_on(services, runtime.handle().clone());
    deploy(&engine, flows(0)).await?;
    let mut feeders = vec![feed(runtime.handle(), &engine, GOOD)];
    if bad {
        feeders.extend(["panics", "endless", "never"].map(|node| feed(runtime.handle(), &engine, node)));
        tokio::time::sleep(LED_IN).await;
    }
    let (before, began) = (ended(), Instant::now());
    tokio::time::sleep(MEASURED).await;
    let throughput = (ended() - before) as f64 / began.elapsed().as_secs_f64();
    let began = Instant::now();
    deploy(&engine, flows(1)).await?;
    let deploy_ms = began.elapsed().as_secs_f64() * 1_000.0;
    feeders.iter().for_each(tokio::task::JoinHandle::abort);
    engine.shutdown(Duration::from_millis(100)).await;
    runtime.shutdown_background();
    Ok(Run { throughput, deploy_ms })
}

/// Sends a node messages as fast as it takes them, in batches so that others get their turn.
fn feed(runtime: &Handle, engine: &Engine, node: &'static str) -> tokio::task::JoinHandle<()> {
    let engine = engine.clone();
    runtime.spawn(async move {
        for number in 0.. {
            if engine.send(node, Message::with_payload(number, number as i64)).await.is_err() {
                return;
            }
            if number % 64 == 0 {
                tokio::task::yield_now().await;
            }
        }
    })
}

fn flows(round: u64) -> serde_json::Value {
    json!([
        {"id": GOOD, "type": "pass", "round": round, "wires": [["second"]]},
        {"id": "second", "type": "pass", "wires": [["end"]]},
        {"id": "end", "type": "end", "wires": []},
        {"id": "panics", "type": "panics", "wires": [["never"]]},
        {"id": "endless", "type": "endless", "wires": [[]]},
        {"id": "never", "type": "never", "wires": [[]]},
    ])
}

struct Panics;

impl NodeType for Panics {
    type Config = NoConfig;
    const META: tidewire_node_api::Meta = meta("panics");

    fn build(_config: NoConfig, _env: &BuildEnv) -> Result<Self, BuildError> {
        Ok(Panics)
    }
}

impl Node for Panics {
    fn process(&mut self, message: Message, _ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        match message.payload().as_i64() {
            // Unwinds as a panic does, but writes nothing to the terminal.
            Some(number) if number % 10 == 9 => std::panic::resume_unwind(Box::new("every tenth message")),
            _ => Ok(()),
        }
    }
}

struct Endless(Script);

impl NodeType for Endless {
    type Config = NoConfig;
    const META: tidewire_node_api::Meta = meta("endless");

    fn build(_config: NoConfig, _env: &BuildEnv) -> Result<Self, BuildError> {
        let script = Script::compile_function("fn run(n) { let i = 0; while true { i += 1; } }", "run", 1);
        Ok(Endless(script.map_err(|error| BuildError::at("", error.to_string()))?))
    }
}

impl Node for Endless {
    fn process(&mut self, message: Message, _ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        match self.0.call(&[message.payload().clone()]) {
            Err(error) if error.runaway => Err(NodeError::new(error.to_string()).with_code(RUNAWAY).on(message)),
            Err(error) => Err(NodeError::new(error.to_string()).on(message)),
            Ok(_) => Ok(()),
        }
    }
}

/// Takes one message and is never done with it.
struct Never;

impl NodeType for Never {
    type Config = NoConfig;
    const META: tidewire_node_api::Meta = meta("never");

    fn build(_config: NoConfig, _env: &BuildEnv) -> Result<Self, BuildError> {
        Ok(Never)
    }
}

impl Node for Never {
    fn process(&mut self, _message: Message, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        ctx.spawn_ordered(std::future::pending());
        Ok(())
    }

    fn concurrency(&self) -> usize {
        1
    }
}
