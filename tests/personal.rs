//! Personal data: what is erased is gone from every file and every read model, and the rest goes on.

use std::path::PathBuf;

use serde_json::json;
use tidewire_tests::{Flow, Server, flow, http::encode, until};

const SECRET: &str = "annas-secret-whereabouts";

#[tokio::test]
async fn an_erased_stream_is_gone_everywhere_and_its_neighbours_are_not() {
    let mut server = Server::with().arg("--personal").arg("patient-*").start().await;
    let http = server.http();
    http.put("/api/log/personal", &json!({"streams": ["thing-anna*"]})).await.expect(200);
    let shown = http.json("/api/log/personal").await;
    assert_eq!(shown["streams"], json!(["patient-*", "thing-anna*"]));
    let append = async |stream: &str, place: &str| {
        let event = json!({"type": "seen", "subject": stream, "data": {"place": place, "more": place.repeat(200)}});
        http.clone().with("content-type", "application/cloudevents+json").post("/api/events", &event).await.expect(201);
    };
    append("thing-anna", SECRET).await;
    append("thing-ben", "office").await;
    let place = async |thing: &str| {
        let thing = http.get(&format!("/api/things/{thing}")).await;
        (thing.status == 200).then(|| thing.json()["properties"]["place"]["value"].clone())
    };
    until("the thing is known", async || place("anna").await.filter(|place| place == SECRET)).await;

    let path = format!("/api/log/subjects/{}/erase", encode("thing-anna"));
    assert_eq!(http.post(&path, &json!({"confirm": "thing-ben"})).await.problem(422), "not_confirmed");
    let other = "/api/log/subjects/thing-ben/erase";
    assert_eq!(http.post(other, &json!({"confirm": "thing-ben"})).await.problem(409), "not_personal");
    let erased = http.post(&path, &json!({"confirm": "thing-anna"})).await.expect(200).json();
    let event = &http.items("/api/events?stream=thing-anna").await[0];
    assert_eq!((&event["erased"], &event["keyid"], event.get("data")), (&json!(true), &erased["keyId"], None));
    let told = http.json(&format!("/api/events/{}", erased["position"])).await;
    assert_eq!((&told["type"], &told["data"]["stream"]), (&json!("tidewire.subject.erased"), &json!("thing-anna")));
    let done = async || http.json("/api/log/personal").await["erasing"].as_array().unwrap().is_empty().then_some(());
    until("the traces are removed", done).await;
    assert_eq!(place("anna").await.unwrap(), json!(null));
    assert_eq!(place("ben").await.unwrap(), json!("office"));

    server.terminate();
    assert_eq!(server.files_with(SECRET), [] as [PathBuf; 0]);
    server.start_again().await;
    let http = server.http();
    assert_eq!(http.items("/api/events?stream=thing-anna").await[0]["erased"], json!(true));
    assert_eq!(http.json("/api/log/personal").await["streams"], json!(["patient-*", "thing-anna*"]));
    assert_eq!(http.items("/api/events?stream=thing-ben").await[0]["data"]["place"], json!("office"));
    let again = server.command(&["log", "erase", "thing-anna", "--confirm", "thing-anna"]);
    assert!(again.status.success() && String::from_utf8_lossy(&again.stdout).contains("keyId"));
}

#[tokio::test]
async fn messages_that_failed_are_erased_with_the_stream_they_came_from() {
    let mut server = Server::with().arg("--personal").arg("person-*").start().await;
    let http = server.http();
    let document = Flow::new()
        .node("in", "event-store-in", json!({"stream": "*", "eventTypes": ["seen"]}), json!(["judge"]))
        .node("judge", "rule", json!({"expression": "abs(payload.place) > 9"}), json!([["store"], []]))
        .append("store", "thing-judged");
    flow::deploy(&http, &document.json()).await;
    for (stream, place) in [("person-anna", SECRET), ("person-ben", "office"), ("thing-door", "hall")] {
        let event = json!({"type": "seen", "subject": stream, "data": {"place": place}});
        http.clone().with("content-type", "application/cloudevents+json").post("/api/events", &event).await.expect(201);
    }
    let letters = async || http.items("/api/dead-letters?node=judge").await;
    let three = async || Some(letters().await).filter(|letters| letters.len() == 3);
    let all = until("three messages that failed", three).await;
    assert!(all.iter().any(|letter| letter["message"]["payload"]["place"] == SECRET), "{all:?}");
    let erase = json!({"confirm": "person-anna"});
    http.post("/api/log/subjects/person-anna/erase", &erase).await.expect(200);
    let done = async || http.json("/api/log/personal").await["erasing"].as_array().unwrap().is_empty().then_some(());
    until("the traces are removed", done).await;
    let left = letters().await;
    let places: Vec<_> = left.iter().map(|letter| letter["message"]["payload"]["place"].as_str().unwrap()).collect();
    assert_eq!(places, ["hall", "office"], "the latest first");
    let again = format!("/api/dead-letters/{}/retry", left[1]["id"].as_str().unwrap());
    http.post(&again, &json!({})).await.expect(202);
    let erased = &http.items("/api/events?stream=dead-letters-person-anna").await[0];
    assert_eq!((&erased["erased"], erased.get("data")), (&json!(true), None));
    let gone = format!("/api/dead-letters/{}/retry", erased["id"].as_str().unwrap());
    assert_eq!(http.post(&gone, &json!({})).await.problem(404), "not_found");
    server.terminate();
    assert_eq!(server.files_with(SECRET), [] as [PathBuf; 0]);
}
