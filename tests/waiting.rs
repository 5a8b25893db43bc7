//! What waits in a node outlives a deploy of that node and a kill -9: it comes once, and nothing is missing.

use std::time::Duration;

use serde_json::{Value as Json, json};
use tidewire_tests::{Flow, Http, Load, Server, flow, until, until_within};

/// A node of each kind that holds messages, each with a stream of its own. `seconds`: how long the waits are.
fn document(seconds: u32) -> Flow {
    let trigger = json!({"op1type": "nul", "op2type": "payl", "duration": seconds.to_string(), "units": "s"});
    Flow::new()
        .node("delay", "delay", json!({"timeout": seconds, "timeoutUnits": "seconds"}), json!(["delayed"]))
        .append("delayed", "thing-delayed")
        .node("trigger", "trigger", trigger, json!(["triggered"]))
        .append("triggered", "thing-triggered")
        .node("join", "join", json!({"mode": "custom", "build": "merged", "count": "2"}), json!(["joined"]))
        .append("joined", "thing-joined")
        .node("split", "split", json!({"stream": true}), json!(["cut"]))
        .append("cut", "thing-cut")
        .append("mark", "thing-mark")
}

async fn send(http: &Http, node: &str, payload: Json) {
    http.post(&format!("/api/nodes/{node}/send"), &json!({"payload": payload})).await.expect(202);
}

async fn stored(http: &Http, stream: &str) -> Vec<Json> {
    let events = http.items(&format!("/api/events?stream=thing-{stream}")).await;
    events.iter().map(|event| event["data"].clone()).collect()
}

async fn have(http: &Http, stream: &str, expected: &[Json]) {
    until(&format!("the events of {stream}"), || async {
        (stored(http, stream).await.len() >= expected.len()).then_some(())
    })
    .await;
    assert_eq!(stored(http, stream).await, expected, "{stream}");
}

#[tokio::test]
async fn what_waits_outlives_deploys_and_kills() {
    let mut server = Server::with().start().await;
    let http = server.http();
    flow::deploy(&http, &document(6).json()).await;
    for n in [1, 2] {
        send(&http, "delay", json!({"n": n})).await;
    }
    send(&http, "trigger", json!({"n": 3})).await;
    send(&http, "join", json!({"a": 4})).await;
    send(&http, "split", json!("one\ntwo")).await;
    have(&http, "cut", &[json!("one")]).await;
    // What the nodes were given before this event is durable once the event is.
    send(&http, "mark", json!({})).await;
    have(&http, "mark", &[json!({})]).await;
    // The nodes are made anew, and what they hold stays theirs.
    flow::deploy_changes(&http, &document(7).json()).await;
    assert_eq!(stored(&http, "delayed").await, Vec::<Json>::new());

    server.kill9();
    server.start_again().await;
    let http = server.http();
    send(&http, "join", json!({"b": 5})).await;
    send(&http, "split", json!("three\n")).await;
    have(&http, "joined", &[json!({"a": 4, "b": 5})]).await;
    have(&http, "cut", &[json!("one"), json!("twothree")]).await;
    have(&http, "delayed", &[json!({"n": 1}), json!({"n": 2})]).await;
    have(&http, "triggered", &[json!({"n": 3})]).await;

    // Nothing is left over that would come again.
    assert!(server.terminate().success(), "SIGTERM ends well");
    server.start_again().await;
    let http = server.http();
    send(&http, "mark", json!({})).await;
    have(&http, "mark", &[json!({}), json!({})]).await;
    have(&http, "delayed", &[json!({"n": 1}), json!({"n": 2})]).await;
    have(&http, "triggered", &[json!({"n": 3})]).await;
    have(&http, "joined", &[json!({"a": 4, "b": 5})]).await;
}

/// Every message waits in a delay, and is taken apart and put together. Each deploy changes the nodes that hold it.
fn under_load(port: u16, deploy: u32) -> Json {
    let wait = json!({"timeout": 100, "timeoutUnits": "milliseconds", "randomLast": deploy});
    Flow::new()
        .broker(port)
        .mqtt_in("in", "load/#", json!(["delay", "split"]))
        .node("delay", "delay", wait, json!(["delayed"]))
        .append("delayed", "thing-delayed")
        .node("split", "split", json!({}), json!(["join"]))
        .node("join", "join", json!({"mode": "auto", "timeout": deploy}), json!(["joined"]))
        .append("joined", "thing-joined")
        .json()
}

#[tokio::test]
async fn deploys_of_what_holds_messages_lose_and_double_nothing() {
    let server = Server::with().start().await;
    let (http, port) = (server.http(), server.mqtt_port);
    flow::deploy(&http, &under_load(port, 0)).await;
    until("the subscription", || async {
        (http.json("/api/nodes/in").await["status"]["fill"] == "green").then_some(())
    })
    .await;
    let load = Load::start(port, "load/a", 500).await;
    for deploy in 1..=20 {
        load.more(50).await;
        flow::deploy_changes(&http, &under_load(port, deploy)).await;
    }
    let sent = load.stop().await;
    assert_eq!(sent.acknowledged.len() as u64, sent.last);
    for stream in ["delayed", "joined"] {
        until_within(Duration::from_secs(60), &format!("every message in {stream}"), || async {
            let head = http.get(&format!("/api/streams/thing-{stream}")).await;
            (head.status == 200 && head.json()["version"].as_u64() >= Some(sent.last)).then_some(())
        })
        .await;
        let events = http.items(&format!("/api/events?stream=thing-{stream}&limit=1000")).await;
        let numbers: Vec<u64> = events.iter().map(|event| event["data"]["n"].as_u64().unwrap()).collect();
        assert_eq!(numbers, (1..=sent.last).collect::<Vec<u64>>(), "{stream}: each once, in order");
    }
}
