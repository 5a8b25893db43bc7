//! Random edits of random flows under traffic: nothing is lost, doubled or reordered.
//!
//! Sources feed numbered messages without pause while deploy after deploy adds, removes, changes, rewires, moves and
//! switches nodes, tabs, groups, config nodes, subflows and their instances. Each message carries the way it came. Now
//! and then the sources pause, everything runs empty, and the ledger is checked: every step that any message took must
//! be explained by a revision in force at that time, and every step that all revisions in force at that time demand
//! must have been taken, once and in order.
//!
//! `SEED=<number>` repeats a run as far as the scheduler allows; `EDITS=<number>` makes it longer.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

#[path = "random_edits/edits.rs"]
mod edits;
#[path = "random_edits/flow.rs"]
mod flow;
#[path = "random_edits/ledger.rs"]
mod ledger;
#[path = "random_edits/nodes.rs"]
mod nodes;
mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use edits::Random;
use flow::Flow;
use ledger::Ledger;
use support::{Lab, document};
use tidewire_engine::{DeployKind, DeployRequest};

/// Deploys between two looks at the ledger.
const DEPLOYS: usize = 8;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_edits_under_traffic_lose_double_and_reorder_nothing() {
    run(9, 1_600).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_edits_of_small_flows_with_tiny_inboxes_lose_nothing() {
    run(2, 1_600).await;
}

async fn run(seed: u64, edits: usize) {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seed = number("SEED").unwrap_or(seed);
    let edits = number("EDITS").map_or(edits, |edits| usize::try_from(edits).unwrap());
    let mut random = Random::new(seed);
    let lab = Lab::with(nodes::NODES);
    let ledger = ledger::of_lab(lab.number);
    let mut flow = if seed % 2 == 1 { Flow::new(&mut random, 22, 64) } else { Flow::new(&mut random, 8, 3) };
    let (mut done, mut steps) = (0, 0);
    deploy(&lab, &ledger, &flow, DeployKind::Full).await;
    while done < edits {
        let mut history = vec![format!("{}", serde_json::Value::from(flow.to_json()))];
        let feeders: Vec<_> = nodes::SOURCES.map(|source| tokio::spawn(nodes::feed(ledger.clone(), source))).into();
        for _ in 0..DEPLOYS {
            tokio::time::sleep(Duration::from_micros(random.below(3_000))).await;
            for _ in 0..=random.below(4) {
                history.push(edits::edit(&mut flow, &mut random));
                done += 1;
            }
            let kind = match random.below(20) {
                0 => DeployKind::Full,
                1 => DeployKind::Flows,
                _ => DeployKind::Nodes,
            };
            let began = Instant::now();
            deploy(&lab, &ledger, &flow, kind).await;
            history.push(format!("deploy {}: {} ms", kind.as_str(), began.elapsed().as_millis()));
        }
        ledger.pause.store(true, Ordering::Relaxed);
        for feeder in feeders {
            feeder.await.unwrap();
        }
        let told = |text: String| panic!("SEED={seed}, after {done} edits: {text}\n{}", history.join("\n"));
        let ended = ledger.wait_until_empty().await;
        match (ended, ledger.check()) {
            (Ok(()), Ok(count)) => steps += count,
            (ended, checked) => {
                println!("{:#?}", busy(&lab));
                told(format!("{}\n{}", ended.err().unwrap_or_default(), checked.err().unwrap_or_default()))
            }
        }
    }
    println!("seed {seed}: {done} edits, {steps} steps of messages checked");
    assert!(steps > done * 10, "there was traffic: {steps} steps");
}

async fn deploy(lab: &Lab, ledger: &Arc<Ledger>, flow: &Flow, kind: DeployKind) {
    ledger.begin(flow.wiring());
    let request = DeployRequest { kind, ..support::deploy(document(flow.to_json().into())) };
    let deployed = lab.engine.deploy(request).await.unwrap();
    assert!(deployed.problems.is_empty(), "{:?}", deployed.problems);
    ledger.done();
}

/// Where messages are, for a run that does not end.
fn busy(lab: &Lab) -> Vec<String> {
    let stats = lab.engine.stats();
    let nodes = stats.nodes.iter().filter(|node| node.queue > 0);
    let nodes = nodes
        .map(|node| format!("{}: {} queued, {} received, sent {:?}", node.id, node.queue, node.received, node.sent));
    let wires = stats.wires.iter().filter(|wire| wire.queue > 0 || wire.blocked_ns > 1_000_000_000);
    let wires = wires.map(|wire| {
        let ms = wire.blocked_ns / 1_000_000;
        format!(
            "{}.{} to {}: {} queued, blocked {ms} ms, feedback {}",
            wire.from, wire.port, wire.to, wire.queue, wire.feedback
        )
    });
    nodes.chain(wires).collect()
}
