//! Catch, status and complete nodes, dead letters, and subflows that run.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod support;

use serde_json::json;
use support::Lab;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_go_to_the_listener_and_what_nobody_hears_is_a_dead_letter() {
    let lab = Lab::new();
    lab.deploy(json!([
        {"id": "t", "type": "tab"}, {"id": "u", "type": "tab"},
        {"id": "heard", "type": "fails", "every": 2, "z": "t", "wires": [["out"]]},
        {"id": "catch", "type": "hears", "what": "errors", "z": "t", "wires": [["caught"]]},
        {"id": "out", "type": "sink", "z": "t", "wires": []},
        {"id": "caught", "type": "sink", "z": "t", "wires": []},
        {"id": "alone", "type": "fails", "every": 2, "z": "u", "wires": [[]]}]))
        .await;
    lab.send_numbers("heard", 0..6).await;
    lab.wait_for("out", 3).await;
    lab.wait_for("caught", 3).await;
    assert_eq!(lab.seen("caught"), [0, 2, 4]);
    assert_eq!(lab.events("dead-letters").await.len(), 0);
    lab.send_numbers("alone", 2..3).await;
    lab.wait_event("dead-letters", "tidewire.message.failed").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statuses_and_ends_of_messages_are_heard() {
    let lab = Lab::new();
    lab.deploy(json!([
        {"id": "n", "type": "fails", "every": 3, "wires": [[]]},
        {"id": "status", "type": "hears", "what": "statuses", "scope": ["n"], "wires": [["shown"]]},
        {"id": "complete", "type": "hears", "what": "completions", "scope": ["n"], "wires": [["done"]]},
        {"id": "shown", "type": "sink", "wires": []}, {"id": "done", "type": "sink", "wires": []}]))
        .await;
    lab.send_numbers("n", 0..5).await;
    lab.wait_for("done", 3).await;
    lab.wait_for("shown", 5).await;
    assert_eq!(lab.seen("done"), [1, 2, 4], "what failed did not end well");
    assert_eq!(lab.seen("shown"), [0, 1, 2, 3, 4]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_message_a_node_crashes_on_is_known_from_the_second_time_on() {
    let lab = Lab::new();
    lab.deploy(json!([
        {"id": "bad", "type": "panics", "every": 5, "wires": [["out"]]},
        {"id": "catch", "type": "hears", "what": "errors", "scope": ["bad"], "wires": [["caught"]]},
        {"id": "out", "type": "sink", "wires": []}, {"id": "caught", "type": "sink", "wires": []}]))
        .await;
    lab.send_numbers("bad", 1..14).await;
    lab.wait_for("out", 11).await;
    assert_eq!(lab.seen("caught"), [10], "the first crash came as a surprise");
    assert_eq!(lab.seen("out"), [1, 2, 3, 4, 6, 7, 8, 9, 11, 12, 13]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_of_a_subflow_run_apart_and_errors_within_are_heard_outside() {
    let lab = Lab::new();
    lab.deploy(json!([
        {"id": "s", "type": "subflow", "in": [{"wires": [{"id": "sum"}]}], "out": [{"wires": [{"id": "f", "port": 0}]}]},
        {"id": "sum", "type": "keeps", "z": "s", "wires": [["f"]]},
        {"id": "f", "type": "fails", "every": 100, "z": "s", "wires": [[]]},
        {"id": "t", "type": "tab"},
        {"id": "i", "type": "subflow:s", "z": "t", "wires": [["x"]]},
        {"id": "j", "type": "subflow:s", "z": "t", "wires": [["y"]]},
        {"id": "catch", "type": "hears", "what": "errors", "scope": ["j"], "z": "t", "wires": [["caught"]]},
        {"id": "x", "type": "sink", "z": "t", "wires": []}, {"id": "y", "type": "sink", "z": "t", "wires": []},
        {"id": "caught", "type": "sink", "z": "t", "wires": []}]))
        .await;
    lab.send_numbers("i", 1..4).await;
    lab.send_numbers("j", 49..52).await;
    lab.wait_for("x", 3).await;
    lab.wait_for("y", 3).await;
    assert_eq!(lab.seen("x"), [1, 3, 6]);
    assert_eq!(lab.seen("y"), [49, 99, 150]);
    lab.send_numbers("j", 50..51).await;
    lab.wait_for("caught", 1).await;
    assert_eq!(lab.seen("caught"), [200]);
}
