//! What the engine promises about running and changing flows, with small test nodes and a log in memory.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod support;

use std::time::Duration;

use serde_json::json;
use support::{Lab, deploy, document};
use tidewire_engine::{DeployError, DeployKind, Observation, TapDir};
use tidewire_model::Message;
use tidewire_node_api::Signal;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_go_along_the_wires_in_order() {
    let lab = Lab::new();
    lab.deploy(json!([
        {"id": "a", "type": "pass", "wires": [["b", "c"]]},
        {"id": "b", "type": "pass", "wires": [["x"]]},
        {"id": "c", "type": "pass", "wires": [["y"]]},
        {"id": "x", "type": "sink", "wires": []},
        {"id": "y", "type": "sink", "wires": []}]))
        .await;
    lab.send_numbers("a", 0..5_000).await;
    lab.wait_for("x", 5_000).await;
    lab.wait_for("y", 5_000).await;
    let expected: Vec<i64> = (0..5_000).collect();
    assert_eq!(lab.seen("x"), expected);
    assert_eq!(lab.seen("y"), expected);
    let stats = lab.engine.stats();
    let a = stats.nodes.iter().find(|node| node.id.as_str() == "a").unwrap();
    assert_eq!((a.received, a.sent[0]), (5_000, 5_000));
    assert!(stats.wires.iter().all(|wire| wire.total == 5_000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn moving_a_wire_under_load_loses_and_doubles_nothing() {
    let lab = Lab::new();
    let flow = |target: &str| {
        json!([
            {"id": "in", "type": "source", "count": 200_000, "wires": [["count"]]},
            {"id": "count", "type": "count", "wires": [[target]]},
            {"id": "x", "type": "sink", "wires": []},
            {"id": "y", "type": "sink", "wires": []}])
    };
    lab.deploy(flow("x")).await;
    for round in 0..40 {
        tokio::time::sleep(Duration::from_millis(2)).await;
        let deployed = lab.deploy(flow(if round % 2 == 0 { "y" } else { "x" })).await;
        assert_eq!(deployed.diff.rewired.len(), 1, "only the rewired node is touched");
    }
    lab.wait_for_sum(&["x", "y"], 200_000).await;
    let mut all = lab.seen("x");
    all.extend(lab.seen("y"));
    assert!(lab.seen("x").is_sorted() && lab.seen("y").is_sorted());
    all.sort_unstable();
    assert_eq!(all, (1..=200_000).collect::<Vec<i64>>(), "the counting node was never restarted");
    assert!(!lab.seen("x").is_empty() && !lab.seen("y").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replacing_a_node_under_load_keeps_its_inbox_and_its_state() {
    let lab = Lab::new();
    let flow = |version: i64| {
        json!([
            {"id": "in", "type": "source", "count": 100_000, "wires": [["count"]]},
            {"id": "count", "type": "count", "version": version, "wires": [["x"]]},
            {"id": "x", "type": "sink", "wires": []}])
    };
    lab.deploy(flow(0)).await;
    for version in 1..=40 {
        tokio::time::sleep(Duration::from_millis(2)).await;
        assert_eq!(lab.deploy(flow(version)).await.diff.changed.len(), 1);
    }
    lab.wait_for("x", 100_000).await;
    assert_eq!(lab.seen("x"), (1..=100_000).collect::<Vec<i64>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_successor_that_starts_at_the_third_attempt_still_gets_the_state() {
    let lab = Lab::new();
    let flow = |failures: i64| {
        json!([
            {"id": "count", "type": "count", "every": failures, "wires": [["x"]]},
            {"id": "x", "type": "sink", "wires": []}])
    };
    lab.deploy(flow(0)).await;
    lab.send_numbers("count", 0..3).await;
    lab.wait_for("x", 3).await;
    lab.deploy(flow(2)).await;
    lab.send_numbers("count", 0..1).await;
    lab.wait_for("x", 4).await;
    assert_eq!(lab.seen("x"), [1, 2, 3, 4]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn removing_a_node_works_off_its_inbox_and_follows_the_new_wiring() {
    let lab = Lab::new();
    let through = |middle: &str| {
        json!([
            {"id": "in", "type": "source", "count": 60_000, "wires": [[middle]]},
            {"id": middle, "type": "pass", "wires": [["x"]]},
            {"id": "x", "type": "sink", "wires": []}])
    };
    lab.deploy(through("m0")).await;
    for round in 1..=20 {
        tokio::time::sleep(Duration::from_millis(2)).await;
        lab.deploy(through(&format!("m{round}"))).await;
    }
    lab.wait_for("x", 60_000).await;
    let mut seen = lab.seen("x");
    seen.sort_unstable();
    assert_eq!(seen, (0..60_000).collect::<Vec<i64>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_panics_is_built_anew_and_the_rest_runs() {
    let lab = Lab::new();
    lab.deploy(json!([
        {"id": "a", "type": "panics", "every": 10, "wires": [["x"]]},
        {"id": "x", "type": "sink", "wires": []},
        {"id": "other", "type": "sink", "wires": []}]))
        .await;
    lab.send_numbers("a", 1..26).await;
    lab.send_numbers("other", 0..10).await;
    lab.wait_for("other", 10).await;
    lab.wait_for("x", 23).await;
    assert_eq!(lab.seen("x"), (1..26).filter(|n| n % 10 != 0).collect::<Vec<i64>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_inbox_holds_its_sender_up_and_loses_nothing() {
    let lab = Lab::new();
    lab.deploy(json!([
        {"id": "in", "type": "source", "count": 20_000, "wires": [["gate"]]},
        {"id": "gate", "type": "gate", "wires": [["x"]]},
        {"id": "x", "type": "sink", "wires": []}]))
        .await;
    lab.wait_until("the inbox of the gate is full", || {
        lab.engine.stats().nodes.iter().any(|node| node.id.as_str() == "gate" && node.queue >= 1_024)
    })
    .await;
    let queued: usize = lab.engine.stats().nodes.iter().map(|node| node.queue).sum();
    assert!(queued < 5_000, "{queued} messages wait inside, the rest outside");
    lab.engine.signal("gate", Signal::Enable(true)).unwrap();
    lab.wait_for("x", 20_000).await;
    assert_eq!(lab.seen("x"), (0..20_000).collect::<Vec<i64>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loop_neither_blocks_nor_grows_without_bound() {
    let lab = Lab::new();
    lab.deploy(json!([
        {"id": "a", "type": "countdown", "wires": [["a"], ["x"]]},
        {"id": "x", "type": "sink", "wires": []}]))
        .await;
    for _ in 0..10 {
        lab.send_numbers("a", 2_000..2_001).await;
    }
    lab.wait_for("x", 10).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_deploys_from_one_revision_one_wins_and_the_other_learns_the_difference() {
    let lab = Lab::new();
    let first = lab.deploy(json!([{"id": "x", "type": "sink", "wires": []}])).await;
    let flow =
        |id: &str| document(json!([{"id": "x", "type": "sink", "wires": []}, {"id": id, "type": "sink", "wires": []}]));
    let requests = ["y", "z"].map(|id| {
        let mut request = deploy(flow(id));
        request.expected_rev = Some(first.rev.clone());
        lab.engine.deploy(request)
    });
    let results = futures_util::future::join_all(requests).await;
    let stale: Vec<_> = results.iter().filter_map(|result| result.as_ref().err()).collect();
    assert_eq!(stale.len(), 1);
    assert!(matches!(stale[0], DeployError::Stale { diff, .. } if diff.added.len() == 1 && diff.removed.len() == 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_cannot_be_built_or_started_does_not_stop_the_others() {
    let lab = Lab::new();
    let deployed = lab
        .deploy(json!([
            {"id": "bad", "type": "count", "version": "not a number", "wires": []},
            {"id": "future", "type": "from the future", "wires": []},
            {"id": "shy", "type": "count", "every": 2, "wires": [["x"]]},
            {"id": "a", "type": "pass", "wires": [["x", "bad", "future", "shy"]]},
            {"id": "x", "type": "sink", "wires": []}]))
        .await;
    let mut nodes: Vec<&str> = deployed.problems.iter().map(|problem| problem.node.as_str()).collect();
    nodes.sort_unstable();
    assert_eq!(nodes, ["bad", "future"]);
    lab.send_numbers("a", 0..3_000).await;
    // `shy` fails to start twice and then takes what has waited in its inbox.
    lab.wait_for("x", 6_000).await;
    assert!(lab.engine.node("bad").unwrap().problem.is_some());
    assert!(lab.engine.node("shy").unwrap().problem.is_none());
    assert!(!lab.engine.node("future").unwrap().known);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_deployed_last_runs_after_a_restart() {
    let lab = Lab::new();
    let deployed = lab.deploy(json!([{"id": "x", "type": "sink", "wires": []}])).await;
    let again = lab.reopened();
    assert_eq!(again.engine.load().await.unwrap(), Some(deployed.rev));
    again.send_numbers("x", 0..3).await;
    again.wait_for("x", 3).await;
    let next = again.deploy(json!([])).await;
    assert_eq!(next.diff.removed.len(), 1);
    assert!(again.engine.send("x", Message::with_payload(1, 1)).await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledgements_reach_the_source_when_every_branch_has_ended() {
    let lab = Lab::new();
    lab.deploy(json!([
        {"id": "in", "type": "source", "count": 1_000, "acked": true, "wires": [["a", "b", "future"]]},
        {"id": "a", "type": "pass", "wires": [["x"]]},
        {"id": "b", "type": "later", "wires": [["x"]]},
        {"id": "future", "type": "from the future", "wires": []},
        {"id": "x", "type": "sink", "wires": []}]))
        .await;
    lab.wait_for("x", 2_000).await;
    lab.wait_until("all are acknowledged", || lab.acked("in") == 1_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_and_starting_the_flows_keeps_what_waits() {
    let lab = Lab::new();
    lab.deploy(json!([
        {"id": "a", "type": "count", "wires": [["x"]]},
        {"id": "x", "type": "sink", "wires": []}]))
        .await;
    lab.send_numbers("a", 0..10).await;
    lab.wait_for("x", 10).await;
    lab.engine.set_running(false).await;
    lab.send_numbers("a", 0..10).await;
    lab.engine.set_running(true).await;
    lab.wait_for("x", 20).await;
    assert_eq!(lab.seen("x"), (1..=20).collect::<Vec<i64>>());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tap_opened_before_the_deploy_sees_what_goes_in_and_out() {
    let lab = Lab::new();
    let mut tap = lab.engine.tap(["a".into()]);
    let mut observed = lab.engine.observe();
    lab.deploy(json!([{"id": "a", "type": "pass", "wires": [[]]}])).await;
    lab.send_numbers("a", 7..8).await;
    let (first, second) = (tap.next().await.unwrap(), tap.next().await.unwrap());
    assert_eq!((first.dir, first.port), (TapDir::In, None));
    assert_eq!((second.dir, second.port), (TapDir::Out, Some(0)));
    assert_eq!(second.message.get("payload").and_then(tidewire_model::Value::as_i64), Some(7));
    assert!(matches!(observed.recv().await.unwrap(), Observation::Deployed { .. }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stuck_node_delays_a_deploy_by_its_deadline_at_most() {
    let lab = Lab::new();
    let flow = |version: i64| {
        json!([
            {"id": "a", "type": "stuck", "version": version, "wires": [["x"]]},
            {"id": "x", "type": "sink", "wires": []}])
    };
    lab.deploy(flow(0)).await;
    lab.send_numbers("a", 0..1).await;
    lab.wait_until("the message was taken", || lab.engine.stats().nodes.iter().any(|node| node.received == 1)).await;
    let began = std::time::Instant::now();
    lab.deploy(flow(1)).await;
    assert!(began.elapsed() < Duration::from_secs(4));
    lab.send_numbers("x", 5..6).await;
    lab.wait_for("x", 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_are_to_be_tried_again_keep_their_order_and_survive_a_deploy() {
    let lab = Lab::new();
    let flow = |version: i64| {
        json!([
            {"id": "in", "type": "source", "count": 3_000, "acked": true, "wires": [["a"]]},
            {"id": "a", "type": "hesitant", "version": version, "wires": [["x"]]},
            {"id": "x", "type": "sink", "wires": []}])
    };
    lab.deploy(flow(0)).await;
    lab.wait_until("the first ones were refused", || lab.engine.stats().nodes.iter().any(|node| node.received > 0))
        .await;
    lab.deploy(flow(1)).await;
    lab.wait_for("x", 3_000).await;
    assert_eq!(lab.seen("x"), (0..3_000).collect::<Vec<i64>>());
    lab.wait_until("all are acknowledged", || lab.acked("in") == 3_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_deploy_restarts_every_node_and_keeps_its_state() {
    let lab = Lab::new();
    let flow = json!([
        {"id": "a", "type": "count", "wires": [["x"]]},
        {"id": "x", "type": "sink", "wires": []}]);
    lab.deploy(flow.clone()).await;
    lab.send_numbers("a", 0..1).await;
    lab.wait_for("x", 1).await;
    let mut request = deploy(document(flow));
    request.kind = DeployKind::Full;
    let deployed = lab.engine.deploy(request).await.unwrap();
    assert!(deployed.diff.is_empty());
    lab.send_numbers("a", 0..1).await;
    lab.wait_for("x", 2).await;
    assert_eq!(lab.seen("x"), [1, 2]);
}

/// How many of ten messages reached the three targets of their node in the order of the wires.
async fn rounds_in_order() -> usize {
    let lab = Lab::new();
    lab.deploy(json!([
        {"id": "in", "type": "pass", "wires": [["a", "b", "c"]]},
        {"id": "a", "type": "named", "count": 1, "wires": [["out"]]},
        {"id": "b", "type": "named", "count": 2, "wires": [["out"]]},
        {"id": "c", "type": "named", "count": 3, "wires": [["out"]]},
        {"id": "out", "type": "sink", "wires": []}]))
        .await;
    for round in 1..=10 {
        lab.send_numbers("in", 0..1).await;
        lab.wait_for("out", 3 * round).await;
    }
    lab.seen("out").chunks(3).filter(|round| *round == [1, 2, 3]).count()
}

#[tokio::test]
async fn on_one_thread_the_targets_of_a_node_run_in_the_order_of_its_wires() {
    assert_eq!(rounds_in_order().await, 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn on_one_worker_the_targets_of_a_node_usually_run_in_the_order_of_its_wires() {
    // From a task: only the worker itself runs what it woke last first, and not more than a few times on end.
    let rounds = tokio::spawn(rounds_in_order()).await.unwrap();
    assert!(rounds > 5, "{rounds} of 10");
}
