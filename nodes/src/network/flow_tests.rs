//! MQTT nodes in running flows, with a real broker.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value as Json, json};
use tidewire_engine::projections::ProjectionService;
use tidewire_engine::{DeployKind, DeployRequest, Engine};
use tidewire_log::{EventLog, MemoryLog};
use tidewire_model::flow::FlowDocument;
use tidewire_model::position::Position;
use tidewire_model::query::{Filter, Query};

use super::mqtt::tests::broker::{Mosquitto as Unlimited, Proxy};
use super::mqtt::{Outgoing, Qos};
use super::mqtt_broker::tests::link_to;
use super::testing::{Listener, Mosquitto};
use crate::testing;

fn engine() -> Engine {
    engine_on(Arc::new(MemoryLog::new()))
}

fn engine_on(log: Arc<dyn EventLog>) -> Engine {
    let projections = ProjectionService::new(Arc::clone(&log), tokio::runtime::Handle::current());
    testing::engine(testing::services(&log, &projections), &[])
}

/// mqtt in, a switch on the reading, a change of the topic, mqtt out.
fn alarm_flow(port: u16, version: u32) -> Json {
    json!([
        {"id": "tab", "type": "tab", "label": "test"},
        {"id": "broker", "type": "mqtt-broker", "broker": "127.0.0.1", "port": port.to_string()},
        {"id": "in", "type": "mqtt in", "z": "tab", "topic": "bench/in/#", "qos": "1", "datatype": "json",
            "broker": "broker", "inputs": 0, "version": version, "x": 1, "y": 1, "wires": [["s"]]},
        {"id": "s", "type": "switch", "z": "tab", "property": "payload.t", "propertyType": "msg",
            "rules": [{"t": "gt", "v": "30", "vt": "num"}, {"t": "else"}], "checkall": "false", "outputs": 2,
            "version": version / 3, "x": 1, "y": 1, "wires": [["c"], []]},
        {"id": "c", "type": "change", "z": "tab", "x": 1, "y": 1, "wires": [["out"]], "rules": [
            {"t": "change", "p": "topic", "pt": "msg", "from": "bench/in", "fromt": "str", "to": "bench/out", "tot": "str"},
            {"t": "set", "p": "payload.alert", "pt": "msg", "to": "true", "tot": "bool"}]},
        {"id": "out", "type": "mqtt out", "z": "tab", "topic": "", "qos": "1", "retain": "false", "broker": "broker",
            "x": 1, "y": 1, "wires": []}])
}

async fn deploy(engine: &Engine, flow: Json) {
    let document = FlowDocument::from_json(flow).unwrap();
    let (kind, author) = (DeployKind::Nodes, "test".to_owned());
    let request = DeployRequest { document, kind, expected_rev: None, author, restored: None, touched: Vec::new() };
    let deployed = engine.deploy(request).await.unwrap();
    assert!(deployed.problems.is_empty(), "{:?}", deployed.problems);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readings_pass_a_flow_and_none_is_lost_while_it_is_changed() {
    const READINGS: u32 = 4_000;
    let broker = Mosquitto::start();
    let engine = engine();
    deploy(&engine, alarm_flow(broker.port, 0)).await;
    let mut connected = engine.observe();
    let status = |engine: &Engine| engine.statuses().iter().any(|(id, s)| id.as_str() == "in" && s.text == "connected");
    while !status(&engine) {
        tokio::time::timeout(Duration::from_secs(20), connected.recv()).await.unwrap().unwrap();
    }
    let link = link_to(broker.port, false);
    let listener = Listener::new(&link, "bench/out/#");
    let publish = |n: u32, t: f64| {
        let payload = json!({"n": n, "t": t}).to_string();
        let message = Outgoing::new(format!("bench/in/{}", n % 10), payload, Qos::AtLeastOnce);
        link.connection().unwrap().publish(vec![message]).unwrap();
    };
    // The flow says connected before its subscription is in force.
    while listener.soon().is_none() {
        publish(READINGS, 99.0);
    }
    let mut version = 0;
    for n in 0..READINGS {
        publish(n, if n % 2 == 0 { 31.0 } else { 12.5 });
        if n % 200 == 199 {
            version += 1;
            deploy(&engine, alarm_flow(broker.port, version)).await;
        }
    }
    let mut seen = vec![0_u32; READINGS as usize + 1];
    seen[READINGS as usize] = 1;
    while seen.iter().step_by(2).any(|count| *count == 0) {
        let Some(message) = listener.late() else {
            let lost: Vec<usize> = (0..seen.len()).step_by(2).filter(|n| seen[*n] == 0).collect();
            panic!("lost: {lost:?}");
        };
        let payload: Json = serde_json::from_slice(&message.payload).unwrap();
        let n = usize::try_from(payload["n"].as_u64().unwrap()).unwrap();
        assert_eq!(
            (payload["alert"].as_bool(), &*message.topic),
            (Some(true), format!("bench/out/{}", n % 10).as_str())
        );
        seen[n] += 1;
    }
    assert!(seen.iter().skip(1).step_by(2).all(|count| *count == 0), "what is below the limit does not pass");
    engine.shutdown(Duration::from_secs(5)).await;
}

/// A flow that stores what a kept session brings.
fn storing_flow(port: u16) -> Json {
    json!([
        {"id": "tab", "type": "tab", "label": "test"},
        {"id": "broker", "type": "mqtt-broker", "broker": "127.0.0.1", "port": port.to_string(),
            "clientid": "store", "cleansession": false},
        {"id": "in", "type": "mqtt in", "z": "tab", "topic": "in", "qos": "1", "datatype": "utf8", "broker": "broker",
            "inputs": 0, "x": 1, "y": 1, "wires": [["append"]]},
        {"id": "append", "type": "event-store-append", "z": "tab", "stream": "s", "eventType": "stored",
            "x": 1, "y": 1, "wires": [[], []]}])
}

/// What the flow has stored.
async fn stored(log: &Arc<dyn EventLog>) -> Vec<String> {
    let page = log.read(Query::forwards(Filter::stream("s"), Position::ZERO, Query::MAX_LIMIT)).await.unwrap();
    page.events.iter().map(|event| String::from_utf8_lossy(&event.data).into_owned()).collect()
}

/// Waits until that many are stored.
async fn until_stored(log: &Arc<dyn EventLog>, count: usize) {
    let waiting = async {
        while stored(log).await.len() < count {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("not everything was stored");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_broker_brings_again_after_a_crash_is_stored_once() {
    const READINGS: usize = 100;
    let broker = Unlimited::start();
    let proxy = Proxy::before(broker.port);
    let log: Arc<dyn EventLog> = Arc::new(MemoryLog::new());
    let before = engine_on(Arc::clone(&log));
    deploy(&before, storing_flow(proxy.port)).await;
    let link = link_to(broker.port, false);
    link.connect().unwrap();
    let publish = |text: String| {
        let message = Outgoing::new("in", text, Qos::AtLeastOnce);
        link.connection().unwrap().publish(vec![message]).unwrap();
    };
    // The flow is deployed before its subscription is in force.
    while stored(&log).await.is_empty() {
        publish("first".to_owned());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let listener = Listener::new(&link, "in");
    publish("mark".to_owned());
    while listener.next().payload != "mark" {}
    while stored(&log).await.last().is_none_or(|text| !text.contains("mark")) {
        tokio::task::yield_now().await;
    }
    let known = stored(&log).await.len();
    // Nothing that the flow acknowledges reaches the broker any more.
    proxy.mute(true);
    // Values repeat, as those of sensors do.
    (0..READINGS).for_each(|n| publish((n % 10).to_string()));
    until_stored(&log, known + READINGS).await;
    before.shutdown(Duration::ZERO).await;
    proxy.cut();
    proxy.mute(false);

    let after = engine_on(Arc::clone(&log));
    after.load().await.unwrap();
    publish("last".to_owned());
    // Messages come in order: what was brought again has been dealt with before the last one.
    until_stored(&log, known + READINGS + 1).await;
    let all = stored(&log).await;
    assert_eq!(all.len(), known + READINGS + 1, "stored again: {:?}", all.get(known + READINGS..));
    assert!(all.last().is_some_and(|text| text.contains("last")));
    after.shutdown(Duration::from_secs(5)).await;
}
