//! The event log over HTTP: append, read, follow; expected versions and repeated ids.

use futures_util::StreamExt;
use serde_json::{Value as Json, json};
use tidewire_tests::{Http, PATIENCE, Server, http::encode};

fn event(stream: &str, n: u64) -> Json {
    json!({"specversion": "1.0", "source": "/test", "type": "reading-reported", "subject": stream, "data": {"n": n}})
}

async fn append(http: &Http, event: &Json) -> tidewire_tests::Answer {
    http.clone().with("content-type", "application/cloudevents+json").post("/api/events", event).await
}

fn numbers(events: &[Json]) -> Vec<u64> {
    events.iter().map(|event| event["data"]["n"].as_u64().unwrap()).collect()
}

#[tokio::test]
async fn an_appended_event_comes_back_whole() {
    let server = Server::with().start().await;
    let http = server.http();
    let mut sent = event("thing-a", 1);
    sent["id"] = json!("reading-1");
    sent["time"] = json!("2026-01-12T06:30:00.5Z");
    sent["correlationid"] = json!("trip-7");
    let answer = append(&http, &sent).await.expect(201).json();
    let position = answer["position"].as_u64().unwrap();

    let stored = http.json(&format!("/api/events/{position}")).await;
    for key in ["specversion", "id", "source", "type", "subject", "data", "correlationid"] {
        assert_eq!(stored[key], sent[key], "{key} of {stored}");
    }
    assert_eq!(stored["position"], position.to_string());
    assert_eq!(stored["version"], "1");
    assert!(stored["time"].as_str().unwrap().starts_with("2026-01-12T06:30:00.5"), "{stored}");
    assert_eq!(http.json("/api/events/reading-1").await, stored, "the same by its id");
    assert!(!http.get("/api/events/999999999").await.problem(404).is_empty());
}

#[tokio::test]
async fn binary_and_batch_mode() {
    let server = Server::with().start().await;
    let http = server.http();
    let binary = http
        .clone()
        .with("ce-specversion", "1.0")
        .with("ce-type", "reading-reported")
        .with("ce-source", "/test")
        .with("ce-subject", "thing-binary")
        .with("ce-id", "b-1");
    binary.post("/api/events", &json!({"n": 7})).await.expect(201);
    assert_eq!(numbers(&http.items("/api/events?stream=thing-binary").await), [7]);

    let batch = json!([event("thing-batch", 1), event("thing-batch", 2), event("thing-batch", 3)]);
    let answer =
        http.clone().with("content-type", "application/cloudevents-batch+json").post("/api/events", &batch).await;
    assert_eq!(answer.expect(201).json()["items"].as_array().unwrap().len(), 3);
    assert_eq!(numbers(&http.items("/api/events?stream=thing-batch").await), [1, 2, 3]);
}

#[tokio::test]
async fn extension_attributes_come_back_in_every_mode() {
    let mut server = Server::with().start().await;
    let http = server.http();
    let mut sent = event("thing-ext", 1);
    let extensions = json!({"traceparent": "00-0af7-b7ad-01", "sequence": -7, "urgent": true, "ward": "Süd \"2\" %"});
    for (name, value) in extensions.as_object().unwrap() {
        sent[name] = value.clone();
    }
    let position = append(&http, &sent).await.expect(201).json()["position"].to_string();
    let given = |event: &Json| {
        let given = extensions.as_object().unwrap().iter().filter(|(name, value)| event[name.as_str()] == **value);
        assert_eq!(given.count(), 4, "{event}");
    };
    given(&http.json(&format!("/api/events/{position}")).await);
    given(&http.items("/api/events?stream=thing-ext").await[0]);
    given(&serde_json::from_str(&http.get("/api/events?stream=thing-ext&format=ndjson").await.text()).unwrap());
    let table = "/api/events?stream=thing-ext&format=csv&columns=extensions.ward,extensions.sequence";
    assert_eq!(http.get(table).await.text().lines().nth(1), Some("\"Süd \"\"2\"\" %\",-7"));
    for (filter, found) in [("extensions.sequence < 0 && extensions.urgent", 1), ("extensions.ward == \"Nord\"", 0)] {
        let path = format!("/api/events?stream=thing-ext&filter={}", encode(filter));
        assert_eq!(http.items(&path).await.len(), found, "{filter}");
    }

    // What binary mode gives can be sent again as it is.
    let binary = http.get(&format!("/api/events/{position}?mode=binary")).await.expect(200);
    assert_eq!((binary.header("ce-sequence"), binary.header("ce-urgent")), (Some("-7"), Some("true")));
    assert_eq!(binary.header("ce-ward"), Some("S%C3%BCd%20%222%22%20%25"));
    let again = http
        .with("ce-specversion", "1.0")
        .with("ce-type", "reading-reported")
        .with("ce-source", "/test")
        .with("ce-subject", "thing-again")
        .with("ce-ward", binary.header("ce-ward").unwrap())
        .with("ce-traceparent", binary.header("ce-traceparent").unwrap());
    again.send_bytes(reqwest::Method::POST, "/api/events", binary.body.clone()).await.expect(201);
    server.kill9();
    server.start_again().await;
    let stored = &server.http().items("/api/events?stream=thing-again").await[0];
    assert_eq!((&stored["ward"], &stored["traceparent"]), (&sent["ward"], &sent["traceparent"]));

    for (name, value, told) in [
        ("traceParent", json!("x"), "'traceParent' is no attribute"),
        ("place", json!({"room": 1}), "'place' is neither a text"),
        ("note", json!("x".repeat(1_025)), "'note' has 1025 bytes"),
    ] {
        let mut wrong = event("thing-ext", 2);
        wrong[name] = value;
        let answer = append(&server.http(), &wrong).await;
        assert_eq!(answer.problem(400), "invalid_event");
        assert!(answer.text().contains(told), "{}", answer.text());
    }
}

#[tokio::test]
async fn pages_come_as_batches_to_whoever_asks_for_them() {
    let server = Server::with().start().await;
    let http = server.http();
    for n in 1..=5 {
        append(&http, &event("thing-batch", n)).await.expect(201);
    }
    let batches = http.clone().with("accept", "application/cloudevents-batch+json");
    let (mut path, mut all) = ("/api/events?stream=thing-batch&limit=2".to_owned(), Vec::new());
    loop {
        let answer = batches.get(&path).await.expect(200);
        assert_eq!(answer.header("content-type"), Some("application/cloudevents-batch+json"));
        let batch = answer.json().as_array().unwrap().clone();
        assert!(batch.len() <= 2 && batch.iter().all(|event| event["specversion"] == "1.0"));
        all.extend(batch);
        let Some(link) = answer.header("link") else { break };
        path = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\"")).unwrap().to_owned();
    }
    assert_eq!(numbers(&all), [1, 2, 3, 4, 5]);
    assert_eq!(all, http.items("/api/events?stream=thing-batch").await);
    assert_eq!(http.json("/api/events?stream=thing-none&format=batch").await, json!([]), "an empty batch is one");
    // A batch that was read can be sent elsewhere as it is.
    let other = Server::with().start().await;
    let sender = other.http().with("content-type", "application/cloudevents-batch+json");
    sender.post("/api/events", &json!(all)).await.expect(201);
    assert_eq!(numbers(&other.http().items("/api/events?stream=thing-batch").await), [1, 2, 3, 4, 5]);
}

#[tokio::test]
async fn a_wrong_expected_version_is_refused() {
    let server = Server::with().start().await;
    let http = server.http();
    let expecting = |n: u64, version: Json| {
        let mut event = event("thing-order", n);
        event["expectedversion"] = version;
        event
    };
    append(&http, &expecting(1, json!("none"))).await.expect(201);
    append(&http, &expecting(2, json!(1))).await.expect(201);
    for version in [json!("none"), json!(1), json!(7)] {
        let code = append(&http, &expecting(3, version)).await.problem(409);
        assert_eq!(code, "version_conflict");
    }
    append(&http, &expecting(3, json!("exists"))).await.expect(201);
    assert_eq!(numbers(&http.items("/api/events?stream=thing-order").await), [1, 2, 3]);

    let tag = http.get("/api/streams/thing-order").await.header("etag").unwrap().to_owned();
    assert_eq!(tag, "\"3\"");
    let plain = event("thing-tagged", 1);
    let new = http.clone().with("if-none-match", "*");
    assert_eq!(append(&new, &plain).await.expect(201).header("etag"), Some("\"1\""));
    assert_eq!(append(&new, &plain).await.problem(412), "version_conflict");
    let first = http.clone().with("if-match", "\"1\"");
    append(&first, &plain).await.expect(201);
    assert_eq!(append(&first, &plain).await.problem(412), "version_conflict");
    assert_eq!(append(&first, &expecting(1, json!(1))).await.problem(400), "invalid_precondition", "one of them");
    let two = json!([event("thing-tagged", 2), event("thing-other", 2)]);
    let batch = first.clone().with("content-type", "application/cloudevents-batch+json");
    assert_eq!(batch.post("/api/events", &two).await.problem(400), "invalid_precondition");

    let writers = (0..8).map(|n| {
        let (http, event) = (http.clone(), expecting(n, json!(3)));
        async move { append(&http, &event).await.status.as_u16() }
    });
    let statuses = futures_util::future::join_all(writers).await;
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "exactly one wins: {statuses:?}");
}

#[tokio::test]
async fn the_answer_to_a_batch_names_the_version_that_its_one_stream_has_now() {
    let server = Server::with().start().await;
    let batch = server.http().with("content-type", "application/cloudevents-batch+json");
    let refused = |stream: &str| {
        let mut event = event(stream, 9);
        event["expectedversion"] = json!("none");
        event
    };
    let some = json!([event("thing-part", 1), event("thing-part", 2), refused("thing-part")]);
    let answer = batch.post("/api/events?atomic=false", &some).await.expect(201);
    let stream = batch.get("/api/streams/thing-part").await;
    assert_eq!((answer.header("etag"), stream.header("etag")), (Some("\"2\""), Some("\"2\"")));
    assert_eq!(answer.json()["items"][2]["error"]["code"], "version_conflict");
    for none in [
        json!([refused("thing-part"), refused("thing-part")]),
        json!([event("thing-part", 3), event("thing-whole", 1)]),
        json!([event("thing-part", 4), refused("thing-whole")]),
    ] {
        let answer = batch.post("/api/events?atomic=false", &none).await.expect(201);
        assert_eq!(answer.header("etag"), None, "{}", answer.text());
    }
}

#[tokio::test]
async fn a_repeated_id_is_stored_once() {
    let mut server = Server::with().start().await;
    let mut sent = event("thing-once", 1);
    sent["id"] = json!("same");
    let first = append(&server.http(), &sent).await.expect(201).json();
    let again = append(&server.http(), &sent).await;
    assert!(again.status.is_success(), "{}", again.text());
    assert_eq!(again.json()["position"], first["position"]);

    server.kill9();
    server.start_again().await;
    let after = append(&server.http(), &sent).await;
    assert_eq!(after.json()["position"], first["position"], "also after a crash");
    sent["data"] = json!({"n": 2});
    assert!(!append(&server.http(), &sent).await.problem(409).is_empty(), "another event under the same id");
    assert_eq!(numbers(&server.http().items("/api/events?stream=thing-once").await), [1]);
}

#[tokio::test]
async fn reading_by_stream_category_type_order_and_text() {
    let server = Server::with().start().await;
    let http = server.http();
    for n in 1..=7 {
        append(&http, &event(if n % 2 == 0 { "thing-even" } else { "thing-odd" }, n)).await.expect(201);
    }
    let mut other = event("order-1", 8);
    other["type"] = json!("order-placed");
    append(&http, &other).await.expect(201);

    for (query, expected) in [
        ("stream=thing-even", vec![2, 4, 6]),
        ("category=thing-", vec![1, 2, 3, 4, 5, 6, 7]),
        ("type=order-placed", vec![8]),
        ("category=thing-&order=desc&limit=3", vec![7, 6, 5, 4, 3, 2, 1]),
        ("category=thing-&limit=2", vec![1, 2, 3, 4, 5, 6, 7]),
        ("category=order", vec![8]),
        ("stream=thing-none", vec![]),
    ] {
        assert_eq!(numbers(&http.items(&format!("/api/events?{query}")).await), expected, "{query}");
    }
    assert_eq!(numbers(&http.items(&format!("/api/events?category=thing&q={}", encode("\"n\":5"))).await), [5]);
    let streams = http.items("/api/streams?pattern=thing-*").await;
    let names: Vec<&str> = streams.iter().map(|stream| stream["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["thing-even", "thing-odd"]);
    assert_eq!(http.json("/api/streams/thing-odd").await["version"], 4);
}

#[tokio::test]
async fn the_stream_goes_on_from_where_a_reader_stopped() {
    let server = Server::with().start().await;
    let http = server.http();
    let mut positions = Vec::new();
    for n in 1..=3 {
        positions.push(append(&http, &event("thing-live", n)).await.expect(201).json()["position"].as_u64().unwrap());
    }
    let reader = http.clone().with("last-event-id", &positions[0].to_string());
    let answer = reader.open("/api/events/stream?stream=thing-live").await;
    assert_eq!(answer.status(), 200);
    assert!(answer.headers()["content-type"].to_str().unwrap().starts_with("text/event-stream"));
    let mut body = answer.bytes_stream();
    let mut text = String::new();
    let mut live_sent = false;
    let read = async {
        while !text.contains("\"n\":4") {
            text.push_str(&String::from_utf8_lossy(&body.next().await.unwrap().unwrap()));
            if text.contains("\"n\":3") && !live_sent {
                live_sent = true;
                append(&http, &event("thing-live", 4)).await.expect(201);
            }
        }
    };
    tokio::time::timeout(PATIENCE, read).await.unwrap();
    assert!(!text.contains("\"n\":1}"), "begins after the last one the reader had:\n{text}");
    let ids: Vec<u64> = text.lines().filter_map(|line| line.strip_prefix("id:")?.trim().parse().ok()).collect();
    assert!(ids.starts_with(&positions[1..]) && ids.is_sorted(), "{ids:?}");
}

#[tokio::test]
async fn what_is_not_an_event_is_refused() {
    let server = Server::with().start().await;
    let http = server.http();
    let cloud = http.clone().with("content-type", "application/cloudevents+json");
    for body in ["{", "[]", "{}", r#"{"specversion":"1.0","type":"","source":"/t","subject":"thing-a"}"#] {
        let answer = cloud.send_bytes(reqwest::Method::POST, "/api/events", body.as_bytes().to_vec()).await;
        assert!(!answer.problem(400).is_empty(), "{body}");
    }
    let reserved = append(&http, &event("$internal", 1)).await;
    assert!(!reserved.problem(400).is_empty());
    let plain = http.clone().with("content-type", "text/plain");
    assert_eq!(plain.send_bytes(reqwest::Method::POST, "/api/events", b"hello".to_vec()).await.status, 415);
    assert!(http.items("/api/events?category=thing").await.is_empty(), "nothing of it was stored");
}
