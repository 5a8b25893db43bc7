//! The main job, end to end: a reading comes in over MQTT and becomes an event, a read model, a decision, a command to
//! a device with its confirmation, and a notification in the vendor's own form.

use serde_json::{Value as Json, json};
use tidewire_tests::notify_lab::{NotifyLab, PUSHBULLET_TOKEN as TOKEN};
use tidewire_tests::{Flow, Http, Mosquitto, Mqtt, Server, flow, until};

fn document(broker: u16, vendor: &str) -> Flow {
    let append = json!({"stream": "thing-{{payload.id}}", "eventType": "reading-reported"});
    let subscription = json!({"category": "thing-", "eventTypes": ["reading-reported"], "start": "now"});
    let dry = json!({"conditions": {"all": [
        {"property": "payload.moisture", "op": "lt", "value": "20", "valueType": "num"},
        {"any": [
            {"property": "payload.id", "op": "eq", "value": "bed-1", "valueType": "str"},
            {"property": "payload.id", "op": "eq", "value": "bed-2", "valueType": "str"}
        ]}
    ]}});
    let valve = json!({"broker": "broker", "topic": "garden/valve/set", "payload": "open", "confirmTopic": "garden/valve",
        "confirmPayload": "open", "timeout": 10, "ttl": 60, "retries": 1});
    let notify =
        json!({"channel": "pushbullet", "title": "Garden", "message": "Watering {{payload.id}}", "baseUrl": vendor});
    let latest = json!({"projection": "moisture", "reducer": "latest", "property": "moisture", "category": "thing-",
        "eventTypes": ["reading-reported"]});
    Flow::new()
        .broker(broker)
        .mqtt_in("in", "garden/+/reading", json!(["store"]))
        .node("store", "event-store-append", append, json!([[], []]))
        .node("latest", "projector", latest, json!([]))
        .node("events", "event-store-in", subscription, json!(["dry"]))
        .node("dry", "rule", dry, json!([["valve", "notify"], []]))
        .node("valve", "actuator-out", valve, json!([[], []]))
        .node("notify", "notifier", notify, json!([[], []]))
}

async fn start(server: &Server, broker: u16, vendor: &NotifyLab) -> Http {
    let http = server.http().with("node-red-api-version", "v2");
    let flows = document(broker, &vendor.url).json();
    let body = json!({"flows": flows, "credentials": {"notify": {"token": TOKEN}}});
    let answer = http.post("/flows", &body).await.expect(200).json();
    assert_eq!(answer["problems"], json!([]));
    until("the connection to the broker", || async {
        (http.json("/api/nodes/in").await["status"]["fill"] == "green").then_some(())
    })
    .await;
    http
}

async fn event(http: &Http, event_type: &str) -> Json {
    until(event_type, || async { http.items(&format!("/api/events?type={event_type}")).await.into_iter().next() }).await
}

async fn run(server: &Server, broker: u16) {
    let vendor = NotifyLab::start().await;
    let http = start(server, broker, &vendor).await;
    let mut device = Mqtt::connect(broker, "valve").await;
    device.subscribe("garden/valve/set").await;
    let mut sensor = Mqtt::connect(broker, "sensor").await;
    sensor.publish("garden/bed-1/reading", json!({"id": "bed-1", "moisture": 42}).to_string()).await;
    sensor.publish("garden/bed-1/reading", json!({"id": "bed-1", "moisture": 17}).to_string()).await;

    let readings = until("both readings", || async {
        let readings = http.items("/api/events?stream=thing-bed-1&type=reading-reported").await;
        (readings.len() == 2).then_some(readings)
    })
    .await;
    assert_eq!(readings[1]["data"], json!({"id": "bed-1", "moisture": 17}));
    assert_eq!((&readings[1]["rawtopic"], &readings[1]["nodeid"]), (&json!("garden/bed-1/reading"), &json!("store")));

    let entry = until("the read model", || async {
        let answer = http.get("/api/projections/moisture/thing-bed-1").await;
        (answer.status == 200 && answer.json()["value"] == 17).then(|| answer.json())
    })
    .await;
    assert_eq!(entry["position"].to_string(), readings[1]["position"].as_str().unwrap());

    let command = device.next().await;
    assert_eq!((command.topic.as_str(), command.text().as_str(), command.retain), ("garden/valve/set", "open", false));
    let requested = event(&http, "tidewire.command.requested").await;
    assert_eq!(requested["causationid"], readings[1]["id"], "the reading is the cause: {requested}");
    event(&http, "tidewire.command.sent").await;
    device.publish("garden/valve", "open").await;
    let confirmed = event(&http, "tidewire.command.confirmed").await;
    assert_eq!(confirmed["subject"], requested["subject"], "one stream for the life of a command");

    event(&http, "tidewire.notification.sent").await;
    let requests = vendor.requests();
    assert_eq!(requests.len(), 1, "{requests:?}");
    let push = &requests[0];
    assert_eq!((push.method.as_str(), push.path.as_str()), ("POST", "/v2/pushes"));
    assert_eq!(push.header("access-token"), Some(TOKEN));
    let guid = push.json()["guid"].as_str().unwrap().to_owned();
    assert!(!guid.is_empty());
    assert_eq!(push.json(), json!({"type": "note", "title": "Garden", "body": "Watering bed-1", "guid": guid}));
    let events = http.get("/api/events").await.text();
    assert!(!events.contains(TOKEN), "no secret in the log");
    assert!(device.pending().is_empty(), "the command was sent once");
}

#[tokio::test]
async fn with_the_embedded_broker() {
    let server = Server::with().start().await;
    run(&server, server.mqtt_port).await;
}

#[tokio::test]
async fn with_a_broker_of_ones_own() {
    let broker = Mosquitto::start();
    let server = Server::with().no_broker().start().await;
    run(&server, broker.port).await;
}

#[tokio::test]
async fn a_command_that_nobody_confirms_fails_in_the_open() {
    let server = Server::with().start().await;
    let valve = json!({"broker": "broker", "topic": "valve/set", "payload": "open", "confirmTopic": "valve",
        "confirmPayload": "open", "timeout": 1, "ttl": 60, "retries": 1});
    let document = Flow::new()
        .broker(server.mqtt_port)
        .node("start", "junction", json!({}), json!(["valve"]))
        .node("valve", "actuator-out", valve, json!([[], ["failed"]]))
        .append("failed", "thing-failed");
    let http = server.http();
    flow::deploy(&http, &document.json()).await;
    let mut device = Mqtt::connect(server.mqtt_port, "valve").await;
    device.subscribe("valve/set").await;
    http.post("/api/nodes/start/send", &json!({"payload": 1})).await.expect(202);
    let (first, second) = (device.next().await, device.next().await);
    assert_eq!(first.payload, second.payload, "the repeated command is the same command");
    event(&http, "tidewire.command.failed").await;
    until("the second output", || async {
        (!http.items("/api/events?stream=thing-failed").await.is_empty()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_refused_notification_shows_the_vendors_words_and_waits() {
    let server = Server::with().start().await;
    let vendor = NotifyLab::start().await;
    let notify = json!({"channel": "pushbullet", "title": "t", "message": "m", "baseUrl": vendor.url});
    let flows = Flow::new().node("notify", "notifier", notify, json!([[], []])).json();
    let http = server.http().with("node-red-api-version", "v2");
    let deploy = |token: &str| json!({"flows": flows, "credentials": {"notify": {"token": token}}});
    http.post("/flows", &deploy("o.Wrong")).await.expect(200);
    http.post("/api/nodes/notify/send", &json!({"payload": 1})).await.expect(202);
    let deferred = event(&http, "tidewire.notification.deferred").await;
    assert!(deferred["data"].to_string().contains("Access token is missing or invalid."), "{deferred}");

    http.post("/flows", &deploy(TOKEN)).await.expect(200);
    event(&http, "tidewire.notification.sent").await;
    let guids: Vec<String> = vendor.requests().iter().map(|request| request.json()["guid"].to_string()).collect();
    assert_eq!(guids.first(), guids.last(), "the same notification, not a new one");
}
