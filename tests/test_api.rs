//! What only tests may do is there with `--test-api` and nowhere else.

use serde_json::json;
use tidewire_tests::{Server, flow};

#[tokio::test]
async fn without_the_flag_nobody_changes_settings_or_stops_nodes() {
    let server = Server::start(&json!([{"id": "n", "type": "junction", "wires": [[]]}])).await;
    let http = server.http();
    let config = json!({"env": {"PATH": null}, "settings": {"nodeMessageBufferMaxLength": 1}, "resetContext": true});
    http.put("/context/global/kept", &json!({"value": 1})).await.expect(204);
    assert_eq!(http.put("/api/test/config", &config).await.problem(404), "not_found");
    assert_eq!(http.post("/api/nodes/n/close", &json!({})).await.problem(404), "not_found");
    assert_eq!(http.json("/context/global/kept").await["value"], json!(1));
}

#[tokio::test]
async fn with_the_flag_a_test_arranges_what_it_needs() {
    let server = Server::with().arg("--test-api").start().await;
    let http = server.http();
    http.put("/context/global/kept", &json!({"value": 1})).await.expect(204);
    let stores = json!({"contextStorage": {"memory0": {"module": "memory"}, "memory1": {"module": "memory"}}});
    http.put("/api/test/config", &stores).await.expect(204);
    assert_eq!(http.json("/context/global").await, json!({"memory0": {}, "memory1": {}}));
    http.put("/api/test/config", &json!({"resetContext": true})).await.expect(204);
    assert_eq!(http.json("/context/global").await, json!({"default": {}, "memory": {}}));
    let unusable = json!({"contextStorage": {"a": {}}});
    assert_eq!(http.put("/api/test/config", &unusable).await.problem(400), "invalid_context_storage");

    // A variable of the test stands in the place of the process's.
    http.put("/api/test/config", &json!({"env": {"PART_OF_A_TOPIC": "attic"}})).await.expect(204);
    let store = json!([{"id": "s", "type": "event-store-append", "stream": "${PART_OF_A_TOPIC}", "wires": [[], []]}]);
    flow::deploy(&http, &store).await;
    http.post("/api/nodes/s/send", &json!({"payload": 1})).await.expect(202);
    tidewire_tests::until("the event", || async {
        (!http.items("/api/events?stream=attic").await.is_empty()).then_some(())
    })
    .await;

    http.post("/api/nodes/s/close", &json!({})).await.expect(204);
    assert_eq!(http.post("/api/nodes/nobody/close", &json!({})).await.problem(404), "not_found");
}
