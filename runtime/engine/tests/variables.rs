//! Variables of flows and subflows reach the nodes inside, and a change of one reaches no others.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod support;

use serde_json::{Value, json};
use support::Lab;
use tidewire_model::NodeId;

fn env(name: &str, value: &str) -> Value {
    json!([{"name": name, "type": "num", "value": value}])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_instance_runs_with_the_variables_around_it() {
    let lab = Lab::new();
    let flow = |instance: Value| {
        json!([
            {"id": "s", "type": "subflow", "in": [{"wires": [{"id": "f"}]}], "out": [{"wires": [{"id": "f", "port": 0}]}],
                "env": env("EVERY", "2")},
            {"id": "f", "type": "fails", "every": "${EVERY}", "z": "s", "wires": [[]]},
            {"id": "t", "type": "tab", "env": env("EVERY", "5")},
            {"id": "i", "type": "subflow:s", "z": "t", "wires": [["x"]]},
            {"id": "j", "type": "subflow:s", "z": "t", "wires": [["y"]], "env": instance},
            {"id": "plain", "type": "fails", "every": "${EVERY}", "z": "t", "wires": [["z"]]},
            {"id": "x", "type": "sink", "z": "t", "wires": []}, {"id": "y", "type": "sink", "z": "t", "wires": []},
            {"id": "z", "type": "sink", "z": "t", "wires": []}])
    };
    let deployed = lab.deploy(flow(env("EVERY", "3"))).await;
    assert_eq!(deployed.problems, []);
    for node in ["i", "j", "plain"] {
        lab.send_numbers(node, 1..7).await;
    }
    lab.wait_for("x", 3).await;
    lab.wait_for("y", 4).await;
    lab.wait_for("z", 5).await;
    assert_eq!((lab.seen("x"), lab.seen("y"), lab.seen("z")), (vec![1, 3, 5], vec![1, 2, 4, 5], vec![1, 2, 3, 4, 6]));

    let deployed = lab.deploy(flow(env("EVERY", "4"))).await;
    assert_eq!(deployed.diff.changed, [NodeId::from("j")]);
    lab.send_numbers("j", 7..10).await;
    lab.wait_for("y", 6).await;
    assert_eq!(lab.seen("y")[4..], [7, 9]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_variable_without_a_value_is_a_problem_of_who_defines_it() {
    let lab = Lab::new();
    let deployed = lab
        .deploy(json!([
            {"id": "t", "type": "tab", "env": env("EVERY", "many")},
            {"id": "n", "type": "fails", "every": 2, "z": "t", "wires": [["x"]]},
            {"id": "x", "type": "sink", "z": "t", "wires": []}]))
        .await;
    assert_eq!((deployed.problems[0].node.as_str(), deployed.problems[0].path.as_str()), ("t", "/env/0/value"));
    lab.send_numbers("n", 1..2).await;
    lab.wait_for("x", 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subflow_that_cannot_run_is_told_before_and_at_the_deploy_and_the_rest_runs() {
    let lab = Lab::new();
    let flow = json!([
        {"id": "s", "type": "subflow"}, {"id": "again", "type": "subflow:s", "z": "s", "wires": []},
        {"id": "i", "type": "subflow:s", "wires": [["x"]]}, {"id": "j", "type": "subflow:gone", "wires": [["x"]]},
        {"id": "n", "type": "fails", "every": 2, "wires": [["x", "i", "j"]]},
        {"id": "x", "type": "sink", "wires": []}]);
    let found = |problems: &[tidewire_model::Problem]| -> Vec<String> {
        problems.iter().filter(|problem| problem.path == "/type").map(|problem| problem.node.clone()).collect()
    };
    assert_eq!(found(&lab.engine.check(&support::document(flow.clone()))), ["i", "j"]);
    assert_eq!(found(&lab.deploy(flow).await.problems), ["i", "j"]);
    lab.send_numbers("n", 1..4).await;
    lab.wait_for("x", 2).await;
    assert_eq!(lab.seen("x"), [1, 3]);
}
