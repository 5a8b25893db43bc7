//! What becomes of messages for a node that cannot be built.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod support;

use serde_json::{Value, json};
use support::Lab;
use tidewire_engine::Observation;

/// `count` should be a number.
fn flow(when_down: Value, count: Value) -> Value {
    json!([
        {"id": "n", "type": "pass", "count": count, "whenDown": when_down, "wires": [["out"]]},
        {"id": "catch", "type": "hears", "what": "errors", "wires": [["caught"]]},
        {"id": "out", "type": "sink", "wires": []}, {"id": "caught", "type": "sink", "wires": []}])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_fail_unless_the_user_wants_them_to_wait_or_to_be_dropped() {
    for (when_down, caught, later) in [("", 5, 0), ("wait", 0, 5), ("drop", 0, 0)] {
        let lab = Lab::new();
        let deployed = lab.deploy(flow(json!(when_down), json!("no number"))).await;
        assert!(deployed.problems.iter().any(|problem| problem.node == "n"), "{:?}", deployed.problems);
        lab.send_numbers("n", 0..5).await;
        if when_down == "drop" {
            lab.wait_until("all were dropped", || {
                lab.engine.stats().nodes.iter().any(|node| node.id.as_str() == "n" && node.received == 5)
            })
            .await;
        }
        lab.wait_for("caught", caught).await;
        lab.deploy(flow(json!(when_down), json!(1))).await;
        lab.send_numbers("n", 5..6).await;
        lab.wait_for("out", later + 1).await;
        let expected: Vec<i64> = if later > 0 { (0..6).collect() } else { vec![5] };
        assert_eq!(lab.seen("out"), expected, "whenDown {when_down:?}");
        assert_eq!(lab.seen("caught").len(), caught);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn why_it_is_down_is_told_once_as_an_error() {
    let lab = Lab::new();
    let mut seen = lab.engine.observe();
    lab.deploy(flow(json!("wait"), json!("no number"))).await;
    let mut errors = 0;
    while let Ok(observation) = seen.try_recv() {
        errors += usize::from(matches!(observation, Observation::Error { facts, .. } if facts.id.as_str() == "n"));
    }
    assert_eq!(errors, 1);
}
