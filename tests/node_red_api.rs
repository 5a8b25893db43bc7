//! Node-RED's admin API as its own tools use it.

use serde_json::{Value as Json, json};
use tidewire_tests::{Flow, Http, Server, flow, until};

fn document(text: &str) -> Json {
    let inject = json!({"props": [{"p": "payload"}], "payload": text, "payloadType": "str", "repeat": "", "crontab": "",
        "once": false, "onceDelay": 0.1, "topic": ""});
    Flow::new().node("inject", "inject", inject, json!(["store"])).append("store", "thing-inject").json()
}

fn v2(http: &Http) -> Http {
    http.clone().with("node-red-api-version", "v2")
}

#[tokio::test]
async fn flows_in_version_1_and_2() {
    let server = Server::with().start().await;
    let http = server.http();
    http.post("/flows", &document("a")).await.expect(204);
    assert_eq!(http.json("/flows").await, document("a"));
    let first = v2(&http).json("/flows").await;
    assert_eq!(first["flows"], document("a"));

    let body = json!({"flows": document("b"), "rev": first["rev"]});
    let second = v2(&http).post("/flows", &body).await.expect(200).json();
    assert_ne!(second["rev"], first["rev"]);
    assert_eq!(v2(&http).json("/flows").await["rev"], second["rev"]);
    assert!(!http.clone().with("node-red-api-version", "v9").get("/flows").await.problem(400).is_empty());
}

#[tokio::test]
async fn a_stale_revision_is_refused_with_the_difference() {
    let server = Server::with().start().await;
    let http = v2(&server.http());
    let first = http.post("/flows", &json!({"flows": document("a")})).await.expect(200).json();
    http.post("/flows", &json!({"flows": document("b"), "rev": first["rev"]})).await.expect(200);
    let stale = http.post("/flows", &json!({"flows": document("c"), "rev": first["rev"]})).await;
    assert_eq!(stale.json()["diff"]["changed"], json!(["inject"]), "{}", stale.text());
    assert_eq!(stale.problem(409), "version_mismatch");
    assert_eq!(http.json("/flows").await["flows"], document("b"), "nothing of it was applied");

    let rev = http.json("/flows").await["rev"].clone();
    let many = (0..6).map(|n| {
        let (http, body) = (http.clone(), json!({"flows": document(&format!("w{n}")), "rev": rev}));
        async move { http.post("/flows", &body).await.status.as_u16() }
    });
    let statuses = futures_util::future::join_all(many).await;
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "exactly one wins: {statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 409).count(), 5, "{statuses:?}");
}

#[tokio::test]
async fn deployment_types() {
    let server = Server::with().start().await;
    let http = v2(&server.http());
    for (kind, text) in [("full", "a"), ("nodes", "b"), ("flows", "c")] {
        let http = http.clone().with("node-red-deployment-type", kind);
        http.post("/flows", &json!({"flows": document(text)})).await.expect(200);
        assert_eq!(http.json("/flows").await["flows"], document(text), "{kind}");
    }
    let reload = http.clone().with("node-red-deployment-type", "reload");
    reload.post("/flows", &json!({"flows": document("ignored")})).await.expect(200);
    assert_eq!(http.json("/flows").await["flows"], document("c"), "a reload keeps what is stored");
    let strange = http.clone().with("node-red-deployment-type", "sideways");
    assert!(!strange.post("/flows", &json!({"flows": document("d")})).await.problem(400).is_empty());
}

#[tokio::test]
async fn the_inject_button() {
    let server = Server::with().start().await;
    let http = server.http();
    flow::deploy(&http, &document("pressed")).await;
    http.post("/inject/inject", &json!({})).await.expect(200);
    until("the event", || async {
        let events = http.items("/api/events?stream=thing-inject").await;
        (events.len() == 1 && events[0]["data"] == "pressed").then_some(())
    })
    .await;
    assert_eq!(http.post("/inject/nobody", &json!({})).await.status, 404);
}

#[tokio::test]
async fn what_tools_list() {
    let server = Server::with().start().await;
    let json_only = server.http().with("accept", "application/json");
    let nodes = json_only.json("/nodes").await;
    let sets = nodes.as_array().unwrap();
    let types: Vec<&str> =
        sets.iter().flat_map(|set| set["types"].as_array().unwrap()).filter_map(Json::as_str).collect();
    for kind in ["inject", "debug", "mqtt in", "mqtt out", "mqtt-broker", "switch", "change", "rule", "notifier"] {
        assert!(types.contains(&kind), "{kind} is missing in {types:?}");
    }
    for set in sets {
        for key in ["id", "name", "module", "version"] {
            assert!(set[key].is_string(), "{key} in {set}");
        }
        assert!(set["enabled"].is_boolean(), "{set}");
    }
    let settings = server.http().json("/settings").await;
    for key in ["httpNodeRoot", "version"] {
        assert!(settings[key].is_string(), "{key} in {settings}");
    }
    assert_eq!(server.http().json("/auth/login").await, json!({}), "access control is off");
    assert_eq!(server.http().json("/flows/state").await["state"], "start");
}

#[tokio::test]
async fn one_flow_at_a_time() {
    let server = Server::with().start().await;
    let http = server.http();
    flow::deploy(&http, &document("a")).await;
    let node = json!({"id": "n9", "type": "comment", "name": "hello", "x": 10, "y": 10, "wires": []});
    let made = http.post("/flow", &json!({"label": "second", "nodes": [node]})).await.expect(200).json();
    let id = made["id"].as_str().unwrap().to_owned();
    let read = http.json(&format!("/flow/{id}")).await;
    assert_eq!((&read["label"], &read["nodes"][0]["name"]), (&json!("second"), &json!("hello")), "{read}");

    let changed = json!({"id": id, "label": "renamed", "nodes": read["nodes"]});
    http.put(&format!("/flow/{id}"), &changed).await.expect(200);
    assert_eq!(http.json(&format!("/flow/{id}")).await["label"], "renamed");
    http.delete(&format!("/flow/{id}")).await.expect(204);
    assert!(!http.get(&format!("/flow/{id}")).await.problem(404).is_empty());
    assert_eq!(http.json("/flows").await, document("a"), "the rest is untouched");
}

#[tokio::test]
async fn credentials_are_write_only() {
    let server = Server::with().start().await;
    let http = v2(&server.http());
    let secret = "CANARY-7f3a";
    let flows = Flow::new().node("notify", "notifier", json!({"channel": "ntfy"}), json!([[], []])).json();
    http.post("/flows", &json!({"flows": flows, "credentials": {"notify": {"token": secret}}})).await.expect(200);
    let shown = http.get("/credentials/notifier/notify").await.expect(200);
    assert!(!shown.text().contains(secret) && shown.json()["has_token"] == true, "{}", shown.text());
    let everything = [
        http.get("/flows").await.text(),
        http.get("/api/nodes/notify").await.text(),
        http.get("/api/events").await.text(),
        http.get("/metrics").await.text(),
        server.output(),
        String::from_utf8_lossy(&server.command(&["export"]).stdout).into_owned(),
    ];
    for text in everything {
        assert!(!text.contains(secret), "the secret is in {text}");
    }
    for file in walk(server.data()) {
        let bytes = std::fs::read(&file).unwrap_or_default();
        let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!found, "the secret stands in {}", file.display());
    }
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}
