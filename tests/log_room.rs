//! What the event log takes and what it drops, over HTTP and on the command line.

use serde_json::json;
use tidewire_tests::{Server, until};

#[tokio::test]
async fn usage_retention_and_compaction_can_be_asked_for() {
    let server = Server::with().start().await;
    let http = server.http();
    let event =
        json!({"specversion": "1.0", "source": "/test", "type": "reading-reported", "subject": "thing-a", "data": 1});
    for _ in 0..5 {
        http.clone().with("content-type", "application/cloudevents+json").post("/api/events", &event).await.expect(201);
    }
    let usage = http.json("/api/log/usage").await;
    assert!(usage["totalBytes"].as_u64().unwrap() > 0, "{usage}");
    assert!(usage["head"].as_u64().unwrap() >= 5 && usage["eventsPerDay"].as_f64().unwrap() > 0.0, "{usage}");
    assert_eq!(http.json("/api/log/retention").await, json!({"policies": []}));

    let bad = json!({"policies": [{"id": "", "maxCount": 0}]});
    assert_eq!(http.put("/api/log/retention", &bad).await.problem(422), "invalid_retention");
    http.put("/api/log/retention", &json!({"policies": [{"id": "a", "maxage": 3}]})).await.problem(400);
    let policies = json!({"policies": [{"id": "a month", "category": "thing", "maxAgeSeconds": 2_592_000}]});
    assert_eq!(http.put("/api/log/retention", &policies).await.expect(200).json(), policies);
    assert_eq!(http.json("/api/log/retention").await, policies);

    let dry = http.post("/api/log/compact", &json!({"dryRun": true})).await.expect(200).json();
    assert_eq!((&dry["policies"], &dry["archives"]), (&json!([]), &json!(0)), "all of it is young");
    http.post("/api/log/compact", &json!({})).await.expect(200);
    assert_eq!(http.items("/api/events?stream=thing-a").await.len(), 5);
    let metrics = http.get("/metrics").await.expect(200).text();
    assert!(metrics.contains("tidewire_log_bytes{part=\"journal\"}"), "{metrics}");
    assert!(metrics.contains("tidewire_log_space_level 0"), "{metrics}");

    let output = server.command(&["log", "stats"]);
    let stats: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(stats["usage"]["totalBytes"].as_u64().unwrap() > 0, "{stats}");
}

#[tokio::test]
async fn what_is_dropped_and_encrypted_is_said_from_the_command_line() {
    let mut server = Server::with().start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("policies.json");
    let name = file.to_str().unwrap();
    for running in [true, false] {
        if !running {
            server.terminate();
        }
        let run = |arguments: &[&str], status: i32| {
            server.run(&["log"].iter().chain(arguments).copied().collect::<Vec<_>>(), status)
        };
        std::fs::write(&file, r#"{"policies": [{"id": "old", "category": "thing", "maxAgeSeconds": 864000}]}"#)
            .unwrap();
        assert!(run(&["retention", "set", name], 0).contains("864000"));
        assert!(run(&["retention"], 0).contains("\"id\": \"old\""));
        std::fs::write(&file, r#"{"policies": [{"id": "", "maxAgeSeconds": 1}]}"#).unwrap();
        assert!(run(&["retention", "set", name], 2).contains("policies.json"));
        let dropped = run(&["compact", "--dry-run"], if running { 0 } else { 2 });
        assert!(dropped.contains(if running { "freedBytes" } else { "start one" }), "{dropped}");
        assert_eq!(run(&["personal", "set", "person-*", "patient-*"], 0), "patient-*\nperson-*\n");
        assert_eq!(run(&["personal"], 0), "patient-*\nperson-*\n");
        assert_eq!(run(&["personal", "set"], 0), "");
    }
}

#[tokio::test]
async fn the_log_is_read_through_on_demand() {
    let server = Server::with().start().await;
    let http = server.http();
    assert!(http.json("/api/log/scrub").await.get("last").is_none());
    http.post("/api/log/scrub", &json!({})).await.expect(202);
    let last = async || http.json("/api/log/scrub").await.get("last").cloned();
    let last = until("the log is read through", last).await;
    assert_eq!((&last["damaged"], &last["problems"]), (&json!(0), &json!([])));
    let told = &http.items("/api/events?type=tidewire.log.scrubbed").await[0];
    assert_eq!((&told["subject"], &told["data"]["damaged"]), (&json!("$log"), &json!(0)));
    let stopped = http.delete("/api/log/scrub").await.expect(200).json();
    assert_eq!(stopped["running"], json!(false));
}
