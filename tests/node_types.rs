//! What the palette offers is complete: documented, valid by default, shown in an example, and its schema is up to date.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value as Json, json};
use tidewire_tests::{Server, server};

async fn node_types(server: &Server) -> Vec<Json> {
    let types = server.http().items("/api/node-types").await;
    assert!(!types.is_empty());
    types
}

#[tokio::test]
async fn every_type_is_documented() {
    let server = Server::with().start().await;
    for info in node_types(&server).await {
        let text = |key: &str| info[key].as_str().unwrap_or_default().trim().to_owned();
        for key in ["type", "label", "category", "role", "kind", "icon", "summary", "help"] {
            assert!(!text(key).is_empty(), "{} has no {key}", info["type"]);
        }
        let help = text("help");
        assert!(help.starts_with(char::is_uppercase) && help.ends_with('.'), "{}: {help}", info["type"]);
        let properties = info["schema"]["properties"].as_object().unwrap();
        for (property, schema) in properties {
            assert!(schema["description"].is_string(), "{}: {property} says nothing about itself", info["type"]);
        }
    }
}

#[tokio::test]
async fn every_default_is_valid_as_far_as_it_can_be() {
    let server = Server::with().start().await;
    for info in node_types(&server).await {
        let mut node = info["defaults"].clone();
        let more = [("id", json!("n")), ("type", info["type"].clone()), ("name", json!(""))];
        more.into_iter().for_each(|(key, value)| node[key] = value);
        if info["category"] != "config" {
            let place = [("z", json!("tab")), ("x", json!(100)), ("y", json!(100)), ("wires", json!([]))];
            place.into_iter().for_each(|(key, value)| node[key] = value);
        }
        let flows = json!([{"id": "tab", "type": "tab", "label": ""}, node]);
        let answer = server.http().post("/api/check", &json!({"flows": flows})).await.expect(200).json();
        let wrong: Vec<&Json> = answer["problems"].as_array().unwrap().iter().filter(|p| is_wrong(p)).collect();
        assert!(wrong.is_empty(), "{}: {wrong:?}", info["type"]);
    }
}

/// A default may lack what only a person can know, such as a broker; it may not be wrong.
fn is_wrong(problem: &Json) -> bool {
    let text = problem["text"].as_str().unwrap_or_default();
    let asks = ["choose", "select", "give", "enter", "pick", "add", "set", "write", "name"];
    problem["severity"] == "error" && !asks.iter().any(|word| text.to_lowercase().contains(word))
}

#[tokio::test]
async fn every_type_is_in_an_example() {
    let server = Server::with().start().await;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("flows");
    let mut shown = BTreeSet::new();
    for file in std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
        if file.extension().is_some_and(|extension| extension == "json") {
            let flows: Json = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
            let nodes = flows.as_array().unwrap_or_else(|| panic!("{} is not an array", file.display()));
            shown.extend(nodes.iter().map(|node| node["type"].as_str().unwrap().to_owned()));
            let output = server::command(&["check", file.to_str().unwrap()]);
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        }
    }
    let types = node_types(&server).await;
    let missing: Vec<&str> =
        types.iter().map(|info| info["type"].as_str().unwrap()).filter(|name| !shown.contains(*name)).collect();
    assert!(missing.is_empty(), "in no file of flows/: {missing:?}");
}

#[test]
fn the_schemas_are_up_to_date() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("schemas");
    let output = server::command(&["gen", folder.to_str().unwrap(), "--check"]);
    assert!(output.status.success(), "{}\nrun `make gen`", String::from_utf8_lossy(&output.stderr));
}
