//! Context stays through crashes, goes with what it belonged to, and is seen as Node-RED's tools see it.

use serde_json::{Value as Json, json};
use tidewire_tests::{Http, Server, flow, until};

fn document() -> Json {
    json!([
        {"id": "t1", "type": "tab", "label": "one"}, {"id": "t2", "type": "tab", "label": "two"},
        {"id": "a", "type": "junction", "z": "t1", "wires": [[]]},
        {"id": "b", "type": "junction", "z": "t2", "wires": [[]]},
        {"id": "careless", "type": "junction", "z": "t2", "forget": true, "wires": [[]]},
    ])
}

async fn put(http: &Http, path: &str, value: Json) {
    http.put(&format!("/context/{path}"), &json!({"value": value})).await.expect(204);
}

async fn value(http: &Http, path: &str) -> Json {
    http.json(&format!("/context/{path}")).await["value"].clone()
}

fn nothing() -> Json {
    json!({"__enc__": true, "type": "undefined"})
}

#[tokio::test]
async fn values_of_durable_stores_survive_a_crash() {
    let mut server = Server::with().start().await;
    let http = server.http();
    flow::deploy(&http, &document()).await;
    let bytes = json!({"type": "Buffer", "data": [0, 255]});
    for owner in ["global", "flow/t1", "node/a"] {
        put(&http, &format!("{owner}/reading.value"), json!(21.5)).await;
        put(&http, &format!("{owner}/raw"), bytes.clone()).await;
        put(&http, &format!("{owner}/reading?store=memory"), json!("volatile")).await;
    }
    put(&http, "node/careless/x", json!(1)).await;
    server.kill9();
    server.start_again().await;
    let http = server.http();
    for owner in ["global", "flow/t1", "node/a"] {
        assert_eq!(value(&http, &format!("{owner}/reading")).await, json!({"value": 21.5}), "{owner}");
        assert_eq!(value(&http, &format!("{owner}/raw")).await, bytes, "{owner}");
        assert_eq!(value(&http, &format!("{owner}/reading?store=memory")).await, nothing(), "{owner}");
    }
    assert_eq!(value(&http, "node/careless/x").await, nothing(), "a node that is to forget");
}

#[tokio::test]
async fn values_go_with_their_node_and_flow_for_good() {
    let mut server = Server::with().start().await;
    let http = server.http();
    flow::deploy(&http, &document()).await;
    for owner in ["global", "flow/t1", "flow/t2", "node/a", "node/b"] {
        put(&http, &format!("{owner}/x"), json!(1)).await;
    }
    let rest: Vec<Json> =
        document().as_array().unwrap().iter().filter(|node| node["id"] != "t1" && node["id"] != "a").cloned().collect();
    flow::deploy_changes(&http, &json!(rest)).await;
    assert_eq!(http.json("/context/node/a").await, json!({}), "no such node, no context");
    flow::deploy_changes(&http, &document()).await;
    for _ in 0..2 {
        let http = server.http();
        assert_eq!(value(&http, "flow/t1/x").await, nothing());
        assert_eq!(value(&http, "node/a/x").await, nothing());
        for owner in ["global", "flow/t2", "node/b"] {
            assert_eq!(value(&http, &format!("{owner}/x")).await, json!(1), "{owner}");
        }
        server.kill9();
        server.start_again().await;
    }
}

#[tokio::test]
async fn node_red_tools_see_what_they_are_used_to() {
    let server = Server::start(&document()).await;
    let http = server.http();
    put(&http, "flow/t1/list", json!([1, 2])).await;
    put(&http, "flow/t1/word?store=memory", json!("on")).await;
    assert_eq!(
        http.json("/context/flow/t1").await,
        json!({
            "default": {"list": {"msg": "[1,2]", "format": "array[2]"}},
            "memory": {"word": {"msg": "on", "format": "string[2]"}},
        })
    );
    assert_eq!(
        http.json("/context/flow/t1?keysOnly&store=default").await,
        json!({"default": {"keys": [{"key": "list"}]}})
    );
    let word = http.json("/context/flow/t1/word?store=memory").await;
    assert_eq!((&word["msg"], &word["format"], &word["store"]), (&json!("on"), &json!("string[2]"), &json!("memory")));
    assert_eq!(http.json("/settings").await["context"], json!({"default": "default", "stores": ["default", "memory"]}));
    assert_eq!(http.get("/context/global?store=nowhere").await.problem(404), "not_found");
    let bad = http.put("/context/global/a..b", &json!({"value": 1})).await;
    assert_eq!(bad.problem(400), "invalid_context_key");
    assert_eq!(http.put("/context/node/nobody/x", &json!({"value": 1})).await.problem(404), "not_found");
    http.delete("/context/flow/t1/list").await.expect(204);
    assert_eq!(value(&http, "flow/t1/list").await, nothing());
}

#[tokio::test]
async fn a_store_takes_what_it_is_meant_to_hold_and_no_more() {
    let server = Server::with().arg("--context-store").arg("fast=memory").arg("--context-max").arg("1").start().await;
    let http = server.http();
    let large = json!("x".repeat(600 * 1024));
    put(&http, "global/first", large.clone()).await;
    let refused = http.put("/context/global/second", &json!({"value": large})).await;
    assert!(refused.text().contains("--context-max"), "{}", refused.text());
    assert_eq!(refused.problem(400), "context_full");
    assert_eq!(http.json("/settings").await["context"], json!({"default": "fast", "stores": ["fast"]}));
    http.delete("/context/global/first").await.expect(204);
    put(&http, "global/second", large).await;
}

#[tokio::test]
async fn what_nodes_remember_is_there_after_a_stop_and_after_a_crash() {
    let remember = json!([{"t": "set", "p": "last", "pt": "flow", "to": "payload", "tot": "msg"},
        {"t": "set", "p": "#:(memory)::last", "pt": "global", "to": "payload", "tot": "msg"}]);
    let flows = json!([{"id": "t", "type": "tab"},
        {"id": "c", "type": "change", "z": "t", "rules": remember, "wires": [[]]}]);
    let mut server = Server::with().flows(&flows).start().await;
    let send = |http: Http, payload: Json| async move {
        http.post("/api/nodes/c/send", &json!({ "payload": payload })).await.expect(202);
        until("the value", || async { (value(&http, "flow/t/last").await == payload).then_some(()) }).await;
    };
    for payload in [json!({"deep": [1, null]}), json!("text")] {
        send(server.http(), payload.clone()).await;
        assert!(server.terminate().success());
        server.start_again().await;
        assert_eq!(value(&server.http(), "flow/t/last").await, payload);
        assert_eq!(value(&server.http(), "global/last?store=memory").await, nothing());
    }
    send(server.http(), json!(7)).await;
    // Its answer says that all before it is durable too.
    put(&server.http(), "global/mark", json!(1)).await;
    server.kill9();
    server.start_again().await;
    assert_eq!(value(&server.http(), "flow/t/last").await, json!(7));
}
