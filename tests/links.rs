//! Flows call each other, and hear of each other's errors, statuses and finished work, as Node-RED's do.

use std::path::Path;

use serde_json::{Value as Json, json};
use tidewire_tests::{Flow, Http, Server, Socket, flow, until};

fn example(name: &str) -> Json {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("flows").join(name);
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

/// Id of a node of the document, by its type and name.
fn id(flows: &Json, kind: &str, name: &str) -> String {
    let node = flows.as_array().unwrap().iter().find(|node| node["type"] == kind && node["name"] == name);
    node.unwrap_or_else(|| panic!("no {kind} {name}"))["id"].as_str().unwrap().to_owned()
}

async fn tap(server: &Server, nodes: &str) -> Socket {
    let mut tap = Socket::open(server, &format!("/api/taps?nodes={nodes}")).await;
    assert_eq!(tap.next().await, Some(json!({"ready": true})));
    tap
}

/// Whether a message that came into a node is one that is waited for.
type Wanted<'a> = &'a dyn Fn(&str, &Json) -> bool;

/// Waits for messages that come into the tapped nodes, until each of `wanted` has come; gives all, with their nodes.
async fn arrivals(tap: &mut Socket, wanted: &[Wanted<'_>]) -> Vec<(String, Json)> {
    let mut seen: Vec<(String, Json)> = Vec::new();
    tap.find("all messages", |frame| {
        if frame["dir"] == "in" {
            seen.push((frame["node"].as_str().unwrap().to_owned(), frame["msg"].clone()));
        }
        wanted.iter().all(|wanted| seen.iter().any(|(node, message)| wanted(node, message))).then_some(())
    })
    .await;
    seen
}

async fn send(http: &Http, node: &str, message: Json) {
    http.post(&format!("/api/nodes/{node}/send"), &message).await.expect(202);
}

#[tokio::test]
async fn the_example_answers_calls_and_keeps_a_journal() {
    let flows = example("calls.json");
    let (answer, journal) = (id(&flows, "debug", "Answer"), id(&flows, "debug", "Journal"));
    let server = Server::start(&flows).await;
    let mut tap = tap(&server, &format!("{answer},{journal}")).await;
    server.http().post(&format!("/inject/{}", id(&flows, "inject", "Cold")), &json!({})).await.expect(200);
    let seen = arrivals(
        &mut tap,
        &[
            &|node, message| node == answer && message["payload"] == "heat",
            &|node, message| node == journal && message["complete"]["source"]["id"] == answer,
            &|node, message| node == journal && message["status"]["text"] == "heat",
        ],
    )
    .await;
    let (_, answered) = seen.iter().find(|(node, _)| *node == answer).unwrap();
    assert!(answered.get("_linkSource").is_none(), "{answered}");
    assert_eq!(answered["topic"], "north", "from the variables of all flows");

    server
        .http()
        .post(&format!("/inject/{}", id(&flows, "inject", "Nobody is called so")), &json!({}))
        .await
        .expect(200);
    let seen = arrivals(&mut tap, &[&|node, message| node == journal && message.get("error").is_some()]).await;
    let error = &seen.last().unwrap().1["error"];
    assert!(error["message"].as_str().unwrap().contains("'nobody' not found"), "{error}");
    assert_eq!(error["source"]["id"], id(&flows, "link call", "Whom msg.target names"));
}

/// Fails on every message.
fn failing() -> Json {
    json!({"linkType": "dynamic", "links": []})
}

#[tokio::test]
async fn errors_go_to_the_nearest_and_the_rest_to_those_that_take_what_is_left() {
    let document = Flow::new()
        .node("frame", "group", json!({"nodes": ["inner", "near"]}), json!([]))
        .node("inner", "link call", json!({"linkType": "dynamic", "g": "frame"}), json!([]))
        .node("outer", "link call", failing(), json!([]))
        .node("near", "catch", json!({"scope": "group", "g": "frame"}), json!(["heard-near"]))
        .node("rest", "catch", json!({"scope": null, "uncaught": true}), json!(["heard-rest"]))
        .node("heard-near", "junction", json!({}), json!([]))
        .node("heard-rest", "junction", json!({}), json!([]));
    let server = Server::start(&document.json()).await;
    let mut tap = tap(&server, "heard-near,heard-rest").await;
    for node in ["inner", "outer"] {
        send(&server.http(), node, json!({"payload": node, "error": "an older one"})).await;
    }
    let is = |wanted: &'static str| move |node: &str, _: &Json| node == wanted;
    let seen = arrivals(&mut tap, &[&is("heard-near"), &is("heard-rest")]).await;
    for (node, message) in &seen {
        let source = if node == "heard-near" { "inner" } else { "outer" };
        assert_eq!((&message["payload"], &message["error"]["source"]["id"]), (&json!(source), &json!(source)));
        assert_eq!(message["_error"], "an older one");
    }
    assert_eq!(seen.len(), 2, "{seen:?}");
}

#[tokio::test]
async fn what_nobody_takes_inside_a_subflow_is_told_where_its_instance_stands() {
    let mut flows = Flow::new()
        .node("one", "subflow:twice", json!({}), json!([]))
        .node("errors", "catch", json!({"scope": ["one"]}), json!(["heard"]))
        .node("statuses", "status", json!({"scope": ["one"]}), json!(["heard"]))
        .node("heard", "junction", json!({}), json!([]))
        .json();
    let debug = json!({"id": "show", "type": "debug", "z": "twice", "name": "show", "active": true, "tosidebar": false,
        "tostatus": true, "complete": "payload", "targetType": "msg", "x": 1, "y": 1, "wires": []});
    let call = json!({"id": "fail", "type": "link call", "z": "twice", "name": "fail", "linkType": "dynamic",
        "links": [], "x": 1, "y": 2, "wires": [[]]});
    let takes = json!([{"x": 1, "y": 1, "wires": [{"id": "show"}, {"id": "fail"}]}]);
    let definition = json!({"id": "twice", "type": "subflow", "name": "Twice", "in": takes, "out": []});
    flows.as_array_mut().unwrap().extend([definition, debug, call]);
    let server = Server::start(&flows).await;
    let mut tap = tap(&server, "heard").await;
    send(&server.http(), "one", json!({"payload": "hello"})).await;
    // As in Node-RED: the instance is covered, and the source is the node inside of it.
    let is = |what: &'static str, source: &'static str| {
        move |_: &str, message: &Json| message[what]["source"]["id"] == source
    };
    let seen = arrivals(&mut tap, &[&is("error", "one-fail"), &is("status", "one-show")]).await;
    for (_, message) in &seen {
        let told = if message.get("error").is_some() { &message["payload"] } else { &message["status"]["text"] };
        assert_eq!(told, "hello");
    }
}

#[tokio::test]
async fn what_a_switch_holds_for_its_sequence_survives_a_restart() {
    let part = |index: i64| json!({"payload": index, "parts": {"id": "s", "index": index, "count": 3}});
    let last_two = json!({"property": "payload", "rules": [{"t": "tail", "v": "2", "vt": "num"}]});
    let note = json!({"t": "set", "p": "seen.p[msg.payload]", "pt": "flow", "to": "payload", "tot": "msg"});
    let document = Flow::new().node("last-two", "switch", last_two, json!(["note"])).node(
        "note",
        "change",
        json!({"rules": [note]}),
        json!([]),
    );
    let mut server = Server::with().start().await;
    flow::deploy(&server.http(), &document.json()).await;
    for index in [0, 1] {
        send(&server.http(), "last-two", part(index)).await;
    }
    server.terminate();
    server.start_again().await;
    let http = server.http();
    send(&http, "last-two", part(2)).await;
    let seen = until("both to have passed", || async {
        let seen = http.json("/context/flow/tab/seen").await["value"]["p"].clone();
        (seen[2] == 2).then_some(seen)
    })
    .await;
    assert_eq!(seen[1], 1, "{seen}");
    assert_ne!(seen[0], 0, "{seen}");
}
