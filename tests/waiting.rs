//! What waits in a node outlives a deploy of that node and a kill -9: it comes once, and nothing is missing.

use serde_json::{Value as Json, json};
use tidewire_tests::{Flow, Http, Server, flow, until};

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
