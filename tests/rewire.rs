//! A wire is moved while 1,000 messages a second flow: none lost, none doubled, untouched nodes go on as they were.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value as Json, json};
use tidewire_tests::{Flow, Http, Load, Server, browser, flow, until, until_within};

const RATE: u32 = 1_000;

/// `in` feeds `gate`, whose one wire goes to `left` and is moved to `right`. `watch` fires once on its edge; if a deploy
/// made it forget, it would fire again.
fn before() -> Flow {
    let always =
        json!({"conditions": {"all": [{"property": "payload.n", "op": "gte", "value": "1", "valueType": "num"}]}});
    Flow::new()
        .node("gate", "junction", json!({}), json!(["left"]))
        .append("left", "thing-left")
        .append("right", "thing-right")
        .node("watch", "rule", always, json!([["fired"], []]))
        .append("fired", "thing-fired")
        .node(
            "total",
            "projector",
            json!({"projection": "total", "reducer": "count", "category": "thing-", "key": "all"}),
            json!([]),
        )
}

async fn start() -> (Server, Flow) {
    let server = Server::with().start().await;
    let document = before().broker(server.mqtt_port).mqtt_in("in", "load/#", json!(["gate", "watch"]));
    flow::deploy(&server.http(), &document.json()).await;
    until("the subscription", || async { connected(&server.http()).await.then_some(()) }).await;
    (server, document)
}

async fn connected(http: &Http) -> bool {
    http.json("/api/nodes/in").await["status"]["fill"] == "green"
}

async fn numbers(http: &Http, stream: &str) -> Vec<u64> {
    let events = http.items(&format!("/api/events?stream={stream}&limit=1000")).await;
    events.iter().map(|event| event["data"]["n"].as_u64().unwrap()).collect()
}

async fn received(http: &Http, node: &str) -> u64 {
    let metrics = http.get("/metrics").await.expect(200).text();
    let line = metrics.lines().find(|line| {
        line.starts_with("tidewire_node_messages_total")
            && line.contains(&format!("node=\"{node}\""))
            && line.contains("dir=\"in\"")
    });
    line.and_then(|line| line.rsplit(' ').next()).and_then(|value| value.parse::<f64>().ok()).map_or(0, |n| n as u64)
}

/// What must hold once everything sent has been stored.
async fn check(http: &Http, sent: u64) {
    until_within(Duration::from_secs(60), "every message to be stored", || async {
        let stored = numbers(http, "thing-left").await.len() + numbers(http, "thing-right").await.len();
        (stored as u64 >= sent).then_some(())
    })
    .await;
    let (left, right) = (numbers(http, "thing-left").await, numbers(http, "thing-right").await);
    let mut copies: BTreeMap<u64, u64> = BTreeMap::new();
    left.iter().chain(&right).for_each(|n| *copies.entry(*n).or_default() += 1);
    let lost: Vec<u64> = (1..=sent).filter(|n| !copies.contains_key(n)).collect();
    let doubled: Vec<&u64> = copies.iter().filter(|(_, count)| **count > 1).map(|(n, _)| n).collect();
    println!("{sent} sent, {} to the old target, {} to the new one", left.len(), right.len());
    assert!(lost.is_empty(), "lost: {lost:?}");
    assert!(doubled.is_empty(), "doubled: {doubled:?}");
    assert!(!left.is_empty() && !right.is_empty(), "both targets got messages");
    assert!(left.is_sorted() && right.is_sorted(), "order is kept");

    assert_eq!(numbers(http, "thing-fired").await.len(), 1, "the untouched rule kept its state");
    assert_eq!(received(http, "watch").await, sent, "the untouched rule kept its counters");
    until("the read model to count everything", || async {
        let total = http.get("/api/projections/total/all").await;
        (total.status == 200 && total.json()["value"] == json!(sent + 1)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn over_http() {
    let (server, document) = start().await;
    let http = server.http();
    let load = Load::start(server.mqtt_port, "load/a", RATE).await;
    load.more(2_000).await;
    for wires in [json!([["right"]]), json!([["left"]]), json!([["right"]])] {
        flow::deploy_changes(&http, &document.clone().rewired("gate", wires).json()).await;
        load.more(1_000).await;
    }
    let sent = load.stop().await;
    println!("{} messages a second", sent.rate());
    assert_eq!(sent.acknowledged.len() as u64, sent.last);
    check(&http, sent.last).await;
}

#[tokio::test]
async fn in_a_browser() {
    let (server, _) = start().await;
    let http = server.http();
    let load = Load::start(server.mqtt_port, "load/a", RATE).await;
    load.more(1_000).await;
    let before = http.json("/flows").await;
    println!("{}", browser::run("rewire", &[http.base(), "gate", "left", "right"]).await);
    load.more(2_000).await;
    let sent = load.stop().await;
    println!("{} messages a second", sent.rate());
    assert_eq!(sent.acknowledged.len() as u64, sent.last);

    let after = http.json("/flows").await;
    let wires = |flows: &Json, id: &str| {
        flows.as_array().unwrap().iter().find(|node| node["id"] == id).map(|node| node["wires"].clone())
    };
    assert_eq!(wires(&after, "gate"), Some(json!([["right"]])), "the wire that was dragged");
    for node in ["in", "left", "right", "watch"] {
        assert_eq!(wires(&after, node), wires(&before, node), "wires of {node}");
    }
    check(&http, sent.last).await;
}
