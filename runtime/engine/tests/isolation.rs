//! Bad neighbours: what a node does wrong stays its own affair.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod support;

use serde_json::{Value as Json, json};
use support::{Config, Lab, NODES, meta};
use tidewire_model::Message;
use tidewire_node_api::{BuildEnv, BuildError, Ctx, Kind, Meta, Node, NodeDef, NodeError, NodeType, RUNAWAY};
use tidewire_script::Script;

/// Runs a script that never ends.
struct Endless(Script);

impl NodeType for Endless {
    type Config = Config;
    const META: Meta = meta("endless", Kind::Pure);

    fn build(_config: Config, _env: &BuildEnv) -> Result<Self, BuildError> {
        Ok(Endless(Script::compile_function("fn run(n) { let i = 0; while true { i += 1; } }", "run", 1).unwrap()))
    }
}

impl Node for Endless {
    fn process(&mut self, message: Message, _ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        let error = self.0.call(&[message.payload().clone()]).unwrap_err();
        assert!(error.runaway, "{error}");
        Err(NodeError::new(error.to_string()).with_code(RUNAWAY).on(message))
    }
}

/// Takes one message and is never done with it.
struct Never;

impl NodeType for Never {
    type Config = Config;
    const META: Meta = meta("never", Kind::Pure);

    fn build(_config: Config, _env: &BuildEnv) -> Result<Self, BuildError> {
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

fn lab() -> Lab {
    Lab::with(&[NODES, &[NodeDef::of::<Endless>(), NodeDef::of::<Never>()]].concat())
}

/// The good flow, whose messages end in `end`, beside three bad ones.
fn flows(end: &str) -> Json {
    json!([
        {"id": "good", "type": "pass", "wires": [["second"]]},
        {"id": "second", "type": "pass", "wires": [[end]]},
        {"id": "left", "type": "sink", "wires": []},
        {"id": "right", "type": "sink", "wires": []},
        {"id": "panics", "type": "panics", "every": 10, "wires": [["panicked"]]},
        {"id": "panicked", "type": "sink", "wires": []},
        {"id": "endless", "type": "endless", "wires": [[]]},
        {"id": "sender", "type": "pass", "wires": [["never"]]},
        {"id": "never", "type": "never", "wires": [[]]},
    ])
}

/// One thread for all nodes, as the program has on a small machine.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn panics_endless_scripts_and_consumers_that_never_read_hold_up_nobody_else() {
    const ROUNDS: i64 = 6;
    const ROUND: i64 = 5_000;
    let lab = lab();
    lab.deploy(flows("left")).await;
    let feeders = ["panics", "endless", "sender"].map(|node| {
        let engine = lab.engine.clone();
        tokio::spawn(async move {
            for number in 1.. {
                let message = Message::with_payload(number, i64::try_from(number).unwrap());
                if engine.send(node, message).await.is_err() {
                    return;
                }
            }
        })
    });
    lab.wait_until("the consumer to hold its sender up", || {
        let stats = lab.engine.stats();
        stats.nodes.iter().any(|node| node.id.as_str() == "sender" && node.queue >= 1_000)
    })
    .await;
    for round in 0..ROUNDS {
        lab.send_numbers("good", round * ROUND..(round + 1) * ROUND).await;
        // A deploy in the middle of it goes through, and leads what comes next elsewhere.
        lab.deploy(flows(if round % 2 == 0 { "right" } else { "left" })).await;
    }
    lab.wait_for_sum(&["left", "right"], (ROUNDS * ROUND) as usize).await;
    let (left, right) = (lab.seen("left"), lab.seen("right"));
    assert!(left.is_sorted() && right.is_sorted(), "each way keeps its order");
    let mut all = [left, right].concat();
    all.sort_unstable();
    assert!(all.into_iter().eq(0..ROUNDS * ROUND), "each message once");
    lab.wait_for("panicked", 20).await;
    assert!(lab.seen("panicked").iter().all(|number| number % 10 != 0), "what it could do, it did");
    lab.wait_event("dead-letters", "tidewire.message.failed").await;
    feeders.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_crashes_again_and_again_has_failed_until_it_is_mended() {
    let flow = |every: i64| {
        json!([
            {"id": "bad", "type": "panics", "every": every, "wires": [["out"]]},
            {"id": "out", "type": "sink", "wires": []},
            {"id": "other", "type": "sink", "wires": []}])
    };
    let lab = lab();
    lab.deploy(flow(1)).await;
    lab.send_numbers("bad", 1..101).await;
    let problem = || {
        let problems = lab.engine.problems();
        problems.into_iter().find(|(node, _)| node.as_str() == "bad").map(|(_, text)| text)
    };
    lab.wait_until("the node to count as failed", || {
        problem().is_some_and(|text| text.contains("crashed") && text.contains("within a minute"))
    })
    .await;
    lab.send_numbers("other", 0..10).await;
    lab.wait_for("other", 10).await;
    lab.wait_event("dead-letters", "tidewire.message.failed").await;

    lab.deploy(flow(1_000)).await;
    lab.wait_until("the last message", || lab.seen("out").last() == Some(&100)).await;
    let seen = lab.seen("out");
    assert!(seen.len() >= 90 && seen.is_sorted(), "what waited goes on in its order: {seen:?}");
    assert_eq!(problem(), None, "it runs again");
}
