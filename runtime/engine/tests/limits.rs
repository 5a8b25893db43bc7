//! What the engine promises about full inboxes, wires that drop, loops and memory.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod support;

use serde_json::json;
use support::Lab;
use tidewire_engine::{NodeStats, Observation, WireStats};
use tidewire_model::Message;
use tidewire_node_api::Signal;

fn wire(lab: &Lab, from: &str, to: &str) -> WireStats {
    let wires = lab.engine.stats().wires;
    wires.into_iter().find(|wire| wire.from.as_str() == from && wire.to.as_str() == to).unwrap()
}

fn node(lab: &Lab, id: &str) -> NodeStats {
    lab.engine.stats().nodes.into_iter().find(|node| node.id.as_str() == id).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tight_loop_that_multiplies_messages_always_goes_on_and_loses_none() {
    let lab = Lab::new();
    let small = json!({"messages": 4});
    lab.deploy(json!([
        {"id": "in", "type": "pass", "inbox": small, "wires": [["a"]]},
        {"id": "a", "type": "countdown", "inbox": small, "wires": [["b", "c"], ["x"]]},
        {"id": "b", "type": "pass", "inbox": small, "wires": [["a"]]},
        {"id": "c", "type": "pass", "inbox": small, "wires": [["d"]]},
        {"id": "d", "type": "pass", "inbox": small, "wires": [["a"]]},
        {"id": "x", "type": "sink", "inbox": small, "wires": []}]))
        .await;
    // Each message becomes 2^8.
    for _ in 0..100 {
        lab.send_numbers("in", 8..9).await;
    }
    lab.wait_for("x", 100 * 256).await;
    assert_eq!(lab.seen("x").len(), 100 * 256);
    assert!(lab.engine.stats().wires.iter().all(|wire| wire.dropped == 0));
    assert!(wire(&lab, "in", "a").blocked_ns > 0, "what feeds the loop waited for it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loop_that_multiplies_without_end_is_bounded_and_says_so() {
    let lab = Lab::new();
    let mut observed = lab.engine.observe();
    lab.engine.set_max_hops(60);
    lab.deploy(json!([
        {"id": "a", "type": "pass", "wires": [["b", "c"]]},
        {"id": "b", "type": "pass", "wires": [["a"]]},
        {"id": "c", "type": "pass", "wires": [["a"]]},
        {"id": "other", "type": "sink", "wires": []}]))
        .await;
    lab.send_numbers("a", 0..1).await;
    lab.send_numbers("other", 0..5).await;
    lab.wait_for("other", 5).await;
    let mut codes = Vec::new();
    while codes.len() < 2 {
        if let Ok(Observation::Error { error, .. }) = observed.recv().await {
            assert_eq!(error.message.is_some(), error.code == Some("nodes.flow.hop-limit"));
            codes.extend(error.code.filter(|code| !codes.contains(code)));
        }
        // What the node has taken and what came meanwhile.
        assert!(node(&lab, "a").queue <= 2 * 11_024);
    }
    codes.sort_unstable();
    assert_eq!(codes, ["nodes.flow.hop-limit", "nodes.flow.loop-full"]);
    lab.wait_until("the loop has run empty", || lab.engine.stats().nodes.iter().all(|node| node.queue == 0)).await;
    assert!(wire(&lab, "b", "a").dropped + wire(&lab, "c", "a").dropped > 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_goes_round_too_often_is_an_error_at_the_node_and_ends() {
    let lab = Lab::new();
    let mut observed = lab.engine.observe();
    lab.engine.set_max_hops(1_200);
    lab.deploy(json!([{"id": "a", "type": "pass", "wires": [["a"]]}])).await;
    lab.send_numbers("a", 7..8).await;
    let (mut warned, mut failed) = (false, None);
    while failed.is_none() {
        match observed.recv().await.unwrap() {
            Observation::Log { text, .. } => warned |= text.contains("1000 times"),
            Observation::Error { error, facts, .. } => failed = Some((error, facts.id)),
            _ => {}
        }
    }
    let (error, id) = failed.unwrap();
    assert!(warned);
    assert_eq!((id.as_str(), error.code), ("a", Some("nodes.flow.hop-limit")));
    assert_eq!(error.message.unwrap().payload().as_i64(), Some(7));
    assert_eq!(wire(&lab, "a", "a").total, 1_200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wires_that_drop_do_not_hold_their_sender_up_and_count_what_they_drop() {
    let lab = Lab::new();
    lab.deploy(json!([
        {"id": "in", "type": "source", "count": 5_000, "acked": true, "wires": [["old", "new", "all"]],
            "wirePolicies": {"0:old": "drop-oldest", "0:new": "drop-newest"}},
        {"id": "old", "type": "gate", "inbox": {"messages": 10}, "wires": [["x"]]},
        {"id": "new", "type": "gate", "inbox": {"messages": 10}, "wires": [["y"]]},
        {"id": "all", "type": "sink", "wires": []},
        {"id": "x", "type": "sink", "wires": []},
        {"id": "y", "type": "sink", "wires": []}]))
        .await;
    lab.wait_for("all", 5_000).await;
    let (old, new) = (wire(&lab, "in", "old"), wire(&lab, "in", "new"));
    assert_eq!((old.total, new.total, old.policy, new.policy), (5_000, 5_000, "drop-oldest", "drop-newest"));
    assert!(old.dropped > 4_000 && new.dropped > 4_000);
    assert_eq!((old.queue, new.queue), (10, 10));
    for gate in ["old", "new"] {
        for _ in 0..3 {
            lab.engine.signal(gate, Signal::Enable(true)).unwrap();
        }
    }
    lab.wait_until("the rest has come through", || {
        lab.seen("x").len() as u64 == 5_000 - old.dropped && lab.seen("y").len() as u64 == 5_000 - new.dropped
    })
    .await;
    assert!(lab.seen("x").is_sorted() && lab.seen("y").is_sorted());
    assert_eq!(lab.seen("x").last(), Some(&4_999));
    assert_eq!(lab.seen("y")[..10], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    lab.wait_until("what was dropped is acknowledged too", || lab.acked("in") == 5_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_of_a_subflows_wires_holds_for_the_nodes_inside_that_send_on_them() {
    let lab = Lab::new();
    lab.deploy(json!([
        {"id": "t", "type": "tab"},
        {"id": "s", "type": "subflow", "in": [{"wires": [{"id": "n"}]}], "out": [{"wires": [{"id": "n", "port": 0}]}]},
        {"id": "n", "type": "subflow:r", "z": "s", "wires": [[]]},
        {"id": "r", "type": "subflow", "in": [{"wires": [{"id": "p"}]}],
            "out": [{"wires": [{"id": "p", "port": 0}, {"id": "r", "port": 0}]}]},
        {"id": "p", "type": "pass", "z": "r", "wires": [["q"]], "wirePolicies": {"0:q": "latest"}},
        {"id": "q", "type": "pass", "z": "r", "wires": [[]]},
        {"id": "i", "type": "subflow:s", "z": "t", "wires": [["a", "b"]], "wirePolicies": {"0:a": "drop-oldest"}},
        {"id": "a", "type": "pass", "z": "t", "wires": [[]]},
        {"id": "b", "type": "pass", "z": "t", "wires": [[]]}]))
        .await;
    let policy = |from: &str, to: &str| wire(&lab, from, to).policy;
    assert_eq!(
        (policy("i-n-p", "a"), policy("i-n-p", "b"), policy("i-n-p", "i-n-q")),
        ("drop-oldest", "block", "latest")
    );
    assert_eq!(policy("i-n", "a"), "drop-oldest", "the way straight through");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_latest_message_of_each_topic_takes_the_place_of_the_one_before() {
    let lab = Lab::new();
    lab.deploy(json!([
        {"id": "in", "type": "pass", "wires": [["gate"]], "wirePolicies": {"0:gate": "latest"}},
        {"id": "gate", "type": "gate", "wires": [["x"]]},
        {"id": "x", "type": "sink", "wires": []}]))
        .await;
    // What the gate has taken is no longer in front of it.
    lab.send_numbers("in", 0..8).await;
    lab.wait_until("the gate has its hands full", || node(&lab, "gate").received > 0).await;
    for number in 0..3_000_i64 {
        let mut message = Message::with_payload(1, number);
        message.set("topic", if number % 2 == 0 { "even" } else { "odd" });
        lab.engine.send("in", message).await.unwrap();
    }
    lab.wait_until("all went over the wire", || wire(&lab, "in", "gate").total == 3_008).await;
    lab.engine.signal("gate", Signal::Enable(true)).unwrap();
    lab.wait_until("the queue is empty", || {
        let dropped = wire(&lab, "in", "gate").dropped;
        lab.seen("x").len() as u64 == 3_008 - dropped
    })
    .await;
    assert!(wire(&lab, "in", "gate").dropped > 1_000);
    let mut last = lab.seen("x").split_off(lab.seen("x").len() - 2);
    last.sort_unstable();
    assert_eq!(last, [2_998, 2_999]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_limits_and_policies_are_problems_of_their_nodes_which_run_with_the_usual_ones() {
    let lab = Lab::new();
    let deployed = lab
        .deploy(json!([
            {"id": "a", "type": "pass", "wires": [["x"]], "inbox": {"messages": 0, "bytes": "many"},
                "wirePolicies": {"0:x": "drop-all", "0:gone": "latest", "x": "block"}},
            {"id": "x", "type": "sink", "wires": [], "inbox": 5}]))
        .await;
    let found: Vec<_> =
        deployed.problems.iter().map(|problem| (problem.node.as_str(), problem.path.as_str())).collect();
    assert_eq!(
        found,
        [
            ("a", "/inbox/messages"),
            ("a", "/inbox/bytes"),
            ("a", "/wirePolicies/0:gone"),
            ("a", "/wirePolicies/0:x"),
            ("a", "/wirePolicies/x"),
            ("x", "/inbox"),
        ]
    );
    lab.send_numbers("a", 0..2_000).await;
    lab.wait_for("x", 2_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wire_shows_how_long_its_sender_waits_while_it_waits() {
    let lab = Lab::new();
    lab.deploy(json!([
        {"id": "in", "type": "source", "count": 500, "wires": [["gate"]]},
        {"id": "gate", "type": "gate", "inbox": {"messages": 20}, "wires": [["x"]]},
        {"id": "x", "type": "sink", "wires": []}]))
        .await;
    lab.wait_until("the wire is blocked", || wire(&lab, "in", "gate").blocked_ns > 0).await;
    let (first, queue) = (wire(&lab, "in", "gate"), node(&lab, "gate"));
    lab.wait_until("it goes on", || wire(&lab, "in", "gate").blocked_ns > first.blocked_ns + 20_000_000).await;
    assert_eq!((first.queue, queue.queue_bytes), (20, first.queue_bytes));
    assert!(first.queue_bytes > 20 * 96);
    lab.engine.signal("gate", Signal::Enable(true)).unwrap();
    lab.wait_for("x", 500).await;
    let after = wire(&lab, "in", "gate").blocked_ns;
    tokio::time::sleep(std::time::Duration::from_millis(30)).await;
    assert_eq!(wire(&lab, "in", "gate").blocked_ns, after);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_of_all_inboxes_is_bounded_and_what_is_inside_goes_on() {
    let lab = Lab::new();
    lab.engine.set_inbox_memory(200_000);
    lab.deploy(json!([
        {"id": "in", "type": "source", "count": 20_000, "wires": [["a"]]},
        {"id": "a", "type": "pass", "inbox": {"messages": 1_000_000}, "wires": [["gate"]]},
        {"id": "gate", "type": "gate", "inbox": {"messages": 1_000_000}, "wires": [["x"]]},
        {"id": "x", "type": "sink", "wires": []}]))
        .await;
    lab.wait_until("memory is used up", || lab.engine.stats().inbox_bytes >= 160_000).await;
    for _ in 0..20 {
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        let stats = lab.engine.stats();
        assert!(stats.inbox_bytes < 300_000, "{}", stats.inbox_bytes);
        assert_eq!(stats.inbox_bytes_limit, 200_000);
    }
    for _ in 0..20 {
        lab.engine.signal("gate", Signal::Enable(true)).unwrap();
    }
    lab.wait_for("x", 20_000).await;
    assert_eq!(lab.seen("x"), (0..20_000).collect::<Vec<i64>>());
}
