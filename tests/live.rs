//! What the editor's sockets tell: taps, the live channel, and Node-RED's `/comms`.

use serde_json::{Value as Json, json};
use tidewire_tests::{Flow, Server, Socket, flow};

fn document() -> Json {
    let debug = json!({"active": true, "tosidebar": true, "complete": "payload", "targetType": "msg"});
    Flow::new()
        .node("start", "junction", json!({}), json!(["debug", "rule"]))
        .node("debug", "debug", debug, json!([]))
        .node("rule", "rule", json!({"expression": "msg.payload > 5"}), json!([["store"], []]))
        .append("store", "thing-live")
        .json()
}

#[tokio::test]
async fn taps_show_each_message_in_order() {
    let server = Server::with().start().await;
    // The ids do not exist yet.
    let mut tap = Socket::open(&server, "/api/taps?nodes=start,store").await;
    assert_eq!(tap.next().await.unwrap(), json!({"ready": true}));
    flow::deploy(&server.http(), &document()).await;
    for n in [1, 9] {
        let message = json!({"payload": n, "topic": "t"});
        server.http().post("/api/nodes/start/send", &message).await.expect(202);
    }
    let mut payloads = Vec::new();
    tap.find("the last message at the end", |frame| {
        if frame["node"] == "start" && frame["dir"] == "out" {
            payloads.push(frame["msg"]["payload"].clone());
            assert_eq!((&frame["port"], &frame["msg"]["topic"]), (&json!(0), &json!("t")));
        }
        (frame["node"] == "store" && frame["dir"] == "in").then_some(())
    })
    .await;
    assert_eq!(payloads, [json!(1), json!(9)]);
}

#[tokio::test]
async fn the_live_channel_tells_rates_values_and_debug_messages() {
    let server = Server::start(&document()).await;
    let mut live = Socket::open(&server, "/api/live").await;
    live.send(&json!({"watch": ["start", "debug", "rule", "store"], "debug": true, "tail": true})).await;
    server.http().post("/api/nodes/start/send", &json!({"payload": 42, "topic": "t"})).await.expect(202);

    let (mut wire, mut value, mut entry, mut event) = (false, false, false, false);
    live.find("everything", |frame| {
        wire |= frame["wires"]["start:0:debug"]["total"] == 1;
        value |= frame["nodes"]["start"]["last"]["value"] == 42;
        entry |=
            frame["debug"].as_array().is_some_and(|list| list.iter().any(|e| e["id"] == "debug" && e["msg"] == "42"));
        event |= frame["events"].as_array().is_some_and(|list| list.iter().any(|e| e["subject"] == "thing-live"));
        (wire && value && entry && event).then_some(())
    })
    .await;
}

#[tokio::test]
async fn node_red_clients_get_debug_status_and_deploys() {
    let server = Server::with().start().await;
    let mut comms = Socket::open(&server, "/comms").await;
    comms.send(&json!({"subscribe": "debug"})).await;
    comms.send(&json!({"subscribe": "notification/#"})).await;
    let entries = |frame: &Json, topic: &str| -> Vec<Json> {
        let list = frame.as_array().unwrap_or_else(|| panic!("not an array: {frame}")).iter();
        list.filter(|entry| entry["topic"] == topic).map(|entry| entry["data"].clone()).collect()
    };
    let rev = flow::deploy(&server.http(), &document()).await;
    comms
        .find("the deploy", |frame| {
            entries(frame, "notification/runtime-deploy")
                .iter()
                .any(|data| data["revision"] == json!(rev))
                .then_some(())
        })
        .await;
    server.http().post("/api/nodes/start/send", &json!({"payload": "hello"})).await.expect(202);
    let data = comms.find("the debug message", |frame| entries(frame, "debug").into_iter().next()).await;
    assert_eq!((&data["id"], &data["msg"], &data["format"]), (&json!("debug"), &json!("hello"), &json!("string[5]")));

    server.http().post("/debug/debug/disable", &json!({})).await.expect(201);
    let mut tap = Socket::open(&server, "/api/taps?nodes=debug").await;
    server.http().post("/api/nodes/start/send", &json!({"payload": "unseen"})).await.expect(202);
    // The switch goes ahead of messages that are still on their way.
    tap.find("the muted message", |frame| (frame["msg"]["payload"] == "unseen").then_some(())).await;
    server.http().post("/debug/debug/enable", &json!({})).await.expect(200);
    server.http().post("/api/nodes/start/send", &json!({"payload": "seen"})).await.expect(202);
    let data = comms.find("the next debug message", |frame| entries(frame, "debug").into_iter().next()).await;
    assert_eq!(data["msg"], "seen");
}
