//! Groups of competing consumers over HTTP and in flows: each event to one member, at least once, also after a crash.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};
use tidewire_tests::{Http, Server};

async fn append(http: &Http, count: u64) {
    let event = |n: u64| {
        let stream = format!("thing-{}", n % 3);
        json!({"specversion": "1.0", "source": "/test", "type": "read", "subject": stream, "data": {"n": n}})
    };
    let http = http.clone().with("content-type", "application/cloudevents-batch+json");
    http.post("/api/events", &(0..count).map(event).collect::<Json>()).await.expect(201);
}

async fn fetch(http: &Http, member: &str, max: u64) -> Vec<Json> {
    let asked = json!({"member": member, "max": max, "wait_ms": 2_000});
    let answer = http.post("/api/consumers/g/fetch", &asked).await.expect(200).json();
    answer["items"].as_array().unwrap().clone()
}

fn positions(items: &[Json]) -> Vec<u64> {
    items.iter().map(|item| item["event"]["position"].as_str().unwrap().parse().unwrap()).collect()
}

async fn settle(http: &Http, how: &str, body: Json) -> Json {
    http.post(&format!("/api/consumers/g/{how}"), &body).await.expect(200).json()
}

#[tokio::test]
async fn no_event_is_lost_when_server_and_members_crash() {
    let mut server = Server::with().start().await;
    let http = server.http();
    let group = json!({"category": "thing", "filter": "data.n != 5", "lease_ms": 300, "strategy": "by_stream"});
    http.put("/api/consumers/g", &group).await.expect(201);
    http.put("/api/consumers/g", &group).await.expect(200);
    append(&http, 30).await;
    let mut seen: BTreeMap<u64, u64> = BTreeMap::new();
    let mut acknowledged = 0;
    for round in 0..4 {
        let http = server.http();
        let items = fetch(&http, &format!("member-{round}"), 4).await;
        let held = positions(&items);
        for item in &items {
            seen.insert(positions(std::slice::from_ref(item))[0], item["delivery"].as_u64().unwrap());
        }
        // Of what it holds it acknowledges the first, and dies with the server.
        if let Some(first) = held.first() {
            let answer = settle(&http, "ack", json!({"member": format!("member-{round}"), "positions": [first]})).await;
            acknowledged += answer["settled"].as_array().unwrap().len();
        }
        server.kill9();
        server.start_again().await;
    }
    let http = server.http();
    while acknowledged < 29 {
        let items = fetch(&http, "last", 10).await;
        for item in &items {
            let number = item["event"]["data"]["n"].as_u64().unwrap();
            assert_ne!(number, 5);
        }
        let answer = settle(&http, "ack", json!({"member": "last", "positions": positions(&items)})).await;
        assert_eq!(answer["lost"], json!([]));
        acknowledged += answer["settled"].as_array().unwrap().len();
    }
    let status = http.json("/api/consumers/g").await;
    assert_eq!((status["acknowledged"].as_u64(), status["in_flight"].as_u64()), (Some(29), Some(0)), "{status}");
    assert!(status["redelivered"].as_u64().unwrap() > 0, "{status}");
    assert!(http.get("/metrics").await.text().contains("tidewire_consumer_parked{group=\"g\"} 0"));
    http.delete("/api/consumers/g").await.expect(204);
    assert_eq!(http.get("/api/consumers/g").await.problem(404), "group_not_found");
}

#[tokio::test]
async fn what_is_put_aside_is_listed_replayed_or_dropped_with_a_reason() {
    let server = Server::with().start().await;
    let http = server.http();
    http.put("/api/consumers/g", &json!({"category": "thing", "deliveries_max": 2})).await.expect(201);
    append(&http, 3).await;
    let held = positions(&fetch(&http, "m", 3).await);
    settle(&http, "ack", json!({"member": "m", "positions": [held[0]]})).await;
    settle(&http, "park", json!({"member": "m", "positions": [held[1]], "reason": "no such thing"})).await;
    settle(&http, "nak", json!({"member": "m", "positions": [held[2]], "reason": "busy"})).await;
    assert_eq!(fetch(&http, "m", 3).await[0]["delivery"], 2);
    settle(&http, "nak", json!({"member": "m", "positions": [held[2]], "reason": "busy"})).await;
    let asked = json!({"member": "m", "max": 3});
    assert_eq!(http.post("/api/consumers/g/fetch", &asked).await.expect(200).json()["items"], json!([]));
    let parked = http.items("/api/consumers/g/parked").await;
    let told: Vec<_> = parked.iter().map(|item| item["reason"].as_str().unwrap()).collect();
    assert_eq!(told, ["no such thing", "busy"]);
    assert_eq!(parked[0]["event"]["data"]["n"], 1);
    let without = http.post("/api/consumers/g/parked/drop", &json!({"positions": [held[1]]})).await;
    assert_eq!(without.problem(400), "reason_missing");
    settle(&http, "parked/drop", json!({"positions": [held[1]], "reason": "it was a test"})).await;
    assert_eq!(settle(&http, "parked/replay", json!({})).await["settled"], json!([held[2]]));
    assert_eq!(positions(&fetch(&http, "m", 3).await), [held[2]]);
    let told = http.items("/api/events?type=tidewire.consumer.dropped").await;
    assert_eq!(told[0]["data"]["reason"], "it was a test");
}

#[tokio::test]
async fn nodes_of_a_group_share_the_events() {
    let member = |id: &str| json!({"id": id, "type": "event-store-in", "z": "t", "category": "thing", "start": "beginning", "group": "g", "wires": [["out"]]});
    let out = json!({"id": "out", "type": "event-store-append", "z": "t", "stream": "copy-1", "eventType": "copied", "wires": [[], []]});
    let flows = json!([{"id": "t", "type": "tab", "label": "t"}, member("one"), member("two"), out]);
    let server = Server::start(&flows).await;
    let http = server.http();
    let both = || async {
        let group = http.get("/api/consumers/g").await;
        (group.status == 200 && group.json()["members"].as_array().unwrap().len() == 2).then_some(())
    };
    tidewire_tests::wait::until("both to ask", both).await;
    append(&http, 40).await;
    let status = tidewire_tests::wait::until("all to be dealt with", || async {
        let status = http.json("/api/consumers/g").await;
        (status["acknowledged"] == 40).then_some(status)
    })
    .await;
    assert_eq!(status["members"].as_array().unwrap().len(), 2, "{status}");
    let copies = http.items("/api/events?stream=copy-1&limit=100").await;
    let mut numbers: Vec<u64> = copies.iter().map(|copy| copy["data"]["n"].as_u64().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..40).collect::<Vec<_>>());
}

#[tokio::test]
async fn groups_are_looked_after_from_the_command_line() {
    let mut server = Server::with().start().await;
    let http = server.http();
    for n in 0..3 {
        let event = json!({"type": "read", "subject": "thing-a", "data": {"n": n}});
        http.clone().with("content-type", "application/cloudevents+json").post("/api/events", &event).await.expect(201);
    }
    http.put("/api/consumers/work", &json!({"category": "thing"})).await.expect(201);
    http.post("/api/consumers/work/fetch", &json!({"member": "m", "max": 3})).await.expect(200);
    let park = json!({"member": "m", "positions": [1, 2, 3], "reason": "no idea"});
    http.post("/api/consumers/work/park", &park).await.expect(200);
    for running in [true, false] {
        if !running {
            server.terminate();
        }
        let run = |arguments: &[&str], status: i32| {
            server.run(&["consumer"].iter().chain(arguments).copied().collect::<Vec<_>>(), status)
        };
        assert!(run(&["list"], 0).contains(if running { "3 parked" } else { "1 parked" }));
        assert!(run(&["parked", "work", "--limit", "1"], 0).contains("\"reason\":\"no idea\""));
        assert!(run(&["drop", "work", "--reason", "old"], 2).contains("--all"));
        if running {
            assert!(run(&["drop", "work", "1", "--reason", "old"], 0).contains("1"));
            assert!(run(&["replay", "work", "2"], 0).contains("2"));
            assert!(run(&["show", "work"], 0).contains("\"parked\": 1"));
        } else {
            assert!(run(&["replay", "work", "--all"], 0).contains("3"));
            assert!(run(&["show", "work"], 0).contains("\"parked\": 0"));
            run(&["remove", "work"], 0);
            assert!(run(&["show", "work"], 2).contains("there is no consumer group"));
        }
    }
}
