//! What outlives a node, a deploy, the end of the runtime, or its crash.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod support;

use std::time::Duration;

use serde_json::json;
use support::{Lab, deploy, document};
use tidewire_engine::{DeployKind, DeployRequest};
use tidewire_node_api::Signal;

fn summing(node: serde_json::Value) -> serde_json::Value {
    json!([node, {"id": "out", "type": "sink", "wires": []}])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_node_keeps_is_there_after_a_crash_and_after_a_full_deploy() {
    let flow = summing(json!({"id": "sum", "type": "keeps", "wires": [["out"]]}));
    let lab = Lab::new();
    lab.deploy(flow.clone()).await;
    lab.send_numbers("sum", 1..5).await;
    lab.wait_for("out", 4).await;
    let full = DeployRequest { kind: DeployKind::Full, ..deploy(document(flow)) };
    lab.engine.deploy(full).await.unwrap();
    lab.send_numbers("sum", 5..6).await;
    lab.wait_for("out", 5).await;
    assert_eq!(lab.seen("out"), [1, 3, 6, 10, 15]);
    // No stop: the second engine finds what the first one left when it was cut off.
    lab.wait_kept("node/sum/sum", 15).await;
    let again = lab.reopened();
    again.engine.load().await.unwrap();
    again.send_numbers("sum", 6..7).await;
    again.wait_for("out", 1).await;
    assert_eq!(again.seen("out"), [21]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_to_forget_forgets_and_a_removed_one_leaves_nothing() {
    let lab = Lab::new();
    let forgets = |forget: bool| summing(json!({"id": "sum", "type": "keeps", "forget": forget, "wires": [["out"]]}));
    lab.deploy(forgets(true)).await;
    lab.send_numbers("sum", 1..3).await;
    lab.wait_for("out", 2).await;
    lab.deploy(forgets(false)).await;
    lab.send_numbers("sum", 5..6).await;
    lab.wait_for("out", 3).await;
    assert_eq!(lab.seen("out"), [1, 3, 5]);
    lab.deploy(summing(json!({"id": "other", "type": "pass", "wires": [[]]}))).await;
    lab.engine.shutdown(Duration::from_secs(5)).await;
    assert_eq!(lab.kept("node/").await, 0, "what a removed node kept is gone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_switched_off_and_on_again_still_knows() {
    let lab = Lab::new();
    let flow = |off: bool| summing(json!({"id": "sum", "type": "keeps", "d": off, "wires": [["out"]]}));
    lab.deploy(flow(false)).await;
    lab.send_numbers("sum", 1..3).await;
    lab.wait_for("out", 2).await;
    lab.deploy(flow(true)).await;
    lab.deploy(flow(false)).await;
    lab.send_numbers("sum", 3..4).await;
    lab.wait_for("out", 3).await;
    assert_eq!(lab.seen("out"), [1, 3, 6]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_on_their_way_when_the_runtime_ends_go_on_at_the_next_start() {
    let lab = Lab::new();
    lab.deploy(json!([
        {"id": "gate", "type": "gate", "wires": [["out"]]},
        {"id": "out", "type": "sink", "wires": []}]))
        .await;
    lab.send_numbers("gate", 0..200).await;
    lab.engine.shutdown(Duration::from_millis(500)).await;
    let waiting = lab.kept("queued/").await;
    assert!(waiting > 0, "the gate let none through");
    let again = lab.reopened();
    again.engine.load().await.unwrap();
    again.engine.signal("gate", Signal::Enable(true)).unwrap();
    again.wait_for("out", waiting).await;
    let all: Vec<i64> = (0..200).collect();
    assert_eq!(again.seen("out"), all[200 - waiting..], "the gate had the first ones in hand");
}
