//! A thousand deploys while messages flow: how long one takes, and what is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use tidewire_model::Message;
use tidewire_node_api::Services;

use super::{Figure, deploy, engine, figure, nodes};
use crate::Engine;

const DEPLOYS: u64 = 1_000;

/// Between two deploys, so that each meets a flow that is full of messages again.
const PAUSE: Duration = Duration::from_millis(1);

/// Time for what is under way to come to its end when the messages stop.
const LAST: Duration = Duration::from_secs(10);

/// Deploys go round changing a node, moving a wire, and taking a node out and in again.
fn flow(round: u64) -> Json {
    let (changed, detour, extra) = (round.div_ceil(3), (round + 1) / 3 % 2, round / 3 % 2 == 1);
    let after = if extra { "c" } else { "d" };
    let mut nodes = vec![
        json!({"id": "n0", "type": "pass", "wires": [[if detour == 0 { "a" } else { "b" }]]}),
        json!({"id": "a", "type": "pass", "round": changed, "wires": [["b"]]}),
        json!({"id": "b", "type": "pass", "wires": [[after]]}),
        json!({"id": "d", "type": "end", "wires": []}),
    ];
    if extra {
        nodes.push(json!({"id": "c", "type": "pass", "wires": [["d"]]}));
    }
    nodes.into()
}

pub async fn figures(services: &Services) -> Result<Vec<Figure>, crate::DeployError> {
    let engine = engine(services);
    deploy(&engine, flow(0)).await?;
    nodes::expect(u64::MAX);
    let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let sender = tokio::spawn(send(engine.clone(), stop.clone(), sent.clone()));
    let mut times = Vec::new();
    let began = Instant::now();
    for round in 1..=DEPLOYS {
        let nodes = flow(round);
        let began = Instant::now();
        deploy(&engine, nodes).await?;
        times.push(began.elapsed().as_secs_f64() * 1_000.0);
        tokio::time::sleep(PAUSE).await;
    }
    let rate = sent.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64();
    stop.store(true, Ordering::Relaxed);
    // It does not panic.
    let _ = sender.await;
    let until = Instant::now() + LAST;
    while nodes::ended() < sent.load(Ordering::Relaxed) && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let lost = sent.load(Ordering::Relaxed) as f64 - nodes::ended() as f64;
    deploy(&engine, json!([])).await?;
    times.sort_by(f64::total_cmp);
    let part = |of: f64| times.get((times.len() as f64 * of) as usize).copied().unwrap_or(f64::NAN);
    Ok(vec![
        figure("deploy_under_load_median_ms", part(0.5), "ms"),
        figure("deploy_under_load_p99_ms", part(0.99), "ms"),
        figure("deploy_under_load_messages", rate, "messages/s"),
        figure("deploy_1000_lost", lost, "messages").beside(0.0, "goal"),
    ])
}

/// Sends as fast as the flow takes it.
async fn send(engine: Engine, stop: Arc<AtomicBool>, sent: Arc<AtomicU64>) {
    let mut id = 0;
    while !stop.load(Ordering::Relaxed) {
        id += 1;
        if engine.send("n0", Message::with_payload(id, 1)).await.is_ok() {
            sent.fetch_add(1, Ordering::Relaxed);
        }
        if id % 64 == 0 {
            tokio::task::yield_now().await;
        }
    }
}
