//! Flow documents come back as they went in, whatever is in them.

use serde_json::{Value as Json, json};
use tidewire_tests::{Server, flow, server};

/// Types and properties that nobody here knows, numbers that floating point would spoil, keys in an order of their own.
fn foreign() -> &'static str {
    r##"[
  {"id":"t1","type":"tab","label":"Größe & <b>","disabled":false,"info":"","env":[{"name":"A","value":"1","type":"num"}],"extra":{"z":1,"a":[null,true]}},
  {"id":"n1","type":"some-vendor-node","z":"t1","name":"","zebra":1,"apple":{"10":"x","2":"y","b":1,"a":2},"big":12345678901234567890,"tiny":1e-7,"x":100,"y":80.5,"wires":[["n2"],[]]},
  {"id":"n2","type":"debug","z":"t1","name":"out","active":true,"tosidebar":true,"console":false,"tostatus":false,"complete":"false","statusVal":"","statusType":"auto","unknownToUs":"kept","x":300,"y":80,"wires":[]},
  {"id":"g1","type":"group","z":"t1","name":"area","style":{"label":true,"fill":"#bfdbef"},"nodes":["n1","n2"],"x":14,"y":19,"w":352,"h":122},
  {"id":"c1","type":"vendor-config","name":"shared","host":"example.org"},
  {"id":"s1","type":"subflow","name":"part","info":"","in":[],"out":[],"env":[],"color":"#DDAA99"},
  {"id":"n3","type":"subflow:s1","z":"t1","name":"","x":500,"y":80,"wires":[]}
]"##
}

#[tokio::test]
async fn unknown_types_and_properties_survive() {
    let server = Server::with().start().await;
    let http = server.http().with("node-red-api-version", "v2");
    let body = format!("{{\"flows\":{}}}", foreign());
    let http_json = http.clone().with("content-type", "application/json");
    let answer = http_json.send_bytes(reqwest::Method::POST, "/flows", body.into_bytes()).await.expect(200).json();
    let problems = answer["problems"].as_array().unwrap();
    assert!(problems.iter().any(|problem| problem["node"] == "n1"), "the unknown type is named: {problems:?}");

    let stored = http.get("/flows").await.expect(200).text();
    let compact: String = foreign().lines().map(str::trim).collect();
    assert!(stored.contains(&compact), "as sent:\n{compact}\nas stored:\n{stored}");
}

#[tokio::test]
async fn an_unknown_node_stops_nothing_else() {
    let server = Server::with().start().await;
    let document = tidewire_tests::Flow::new()
        .node("strange", "some-vendor-node", json!({}), json!(["store"]))
        .node("start", "junction", json!({}), json!(["strange", "store"]))
        .append("store", "thing-kept");
    let http = server.http();
    flow::deploy(&http, &document.json()).await;
    http.post("/api/nodes/start/send", &json!({"payload": {"n": 1}})).await.expect(202);
    tidewire_tests::until("the event", || async {
        (!http.items("/api/events?stream=thing-kept").await.is_empty()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn import_and_export_on_the_command_line() {
    let server = Server::with().start().await;
    let file = server.data().parent().unwrap().join("foreign.json");
    std::fs::write(&file, foreign()).unwrap();
    let path = file.display().to_string();
    let imported = server.command(&["import", &path]);
    assert!(imported.status.success(), "{}", String::from_utf8_lossy(&imported.stderr));
    let exported = server.command(&["export"]);
    assert!(exported.status.success(), "{}", String::from_utf8_lossy(&exported.stderr));
    let expected: Json = serde_json::from_str(foreign()).unwrap();
    let found: Json = serde_json::from_slice(&exported.stdout).unwrap();
    assert_eq!(found, expected);
}

#[test]
fn check_names_every_problem_of_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let good = folder.path().join("good.json");
    std::fs::write(&good, tidewire_tests::Flow::new().append("store", "thing-a").json().to_string()).unwrap();
    let output = server::command(&["check", good.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");

    let bad = folder.path().join("bad.json");
    let document = tidewire_tests::Flow::new().node("a", "rule", json!({"for": "soon"}), json!(["nowhere"])).node(
        "b",
        "projector",
        json!({"reducer": "guess"}),
        json!([]),
    );
    std::fs::write(&bad, document.json().to_string()).unwrap();
    let output = server::command(&["check", bad.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    for part in ["bad.json", "for", "reducer", "nowhere"] {
        assert!(text.contains(part), "{part} is not named in:\n{text}");
    }
}
