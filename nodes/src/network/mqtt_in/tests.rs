#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use super::*;
use serde_json::{Value as Json, json};
use tidewire_node_api::bench::Bench;

use crate::network::mqtt::Outgoing;
use crate::network::mqtt_broker::tests::link_to;
use crate::network::testing::{Listener, Mosquitto, wait_for, wait_for_status};

/// The node, subscribed and heard: what is published from now on reaches it.
fn node(link: &Arc<BrokerLink>, config: Json) -> Bench {
    let mut config = config;
    config["broker"] = json!("b");
    let bench = Bench::of::<MqttIn>(config).with_resource("b", link.clone()).started_with(None);
    let bench = wait_for_status(bench, "connected");
    // The broker answers in order: once it has taken this subscription it has the node's.
    drop(Listener::new(link, "barrier"));
    bench
}

fn publish(link: &Arc<BrokerLink>, topic: &str, payload: &'static [u8], qos: Qos, retain: bool) {
    let message = Outgoing { retain, ..Outgoing::new(topic, payload, qos) };
    link.connection().unwrap().publish(vec![message]).unwrap();
}

#[test]
fn messages_come_as_the_datatype_has_them() {
    let (broker, q0) = (Mosquitto::start(), Qos::AtMostOnce);
    let link = link_to(broker.port, false);
    let payload = |datatype: &str, payload: &'static [u8]| {
        let bench = node(&link, json!({"topic": format!("t/{datatype}"), "datatype": datatype}));
        publish(&link, &format!("t/{datatype}"), payload, q0, false);
        wait_for(bench, 1).1.remove(0)
    };
    let message = payload("auto-detect", br#"{"t":21.5}"#);
    assert_eq!(message.payload().get("t"), Some(&Value::Float(21.5)));
    assert_eq!(
        (message.topic(), message.get("qos"), message.get("retain")),
        (Some("t/auto-detect"), Some(&Value::Int(0)), Some(&Value::Bool(false)))
    );
    assert_ne!(message.id(), 0);
    assert_eq!(payload("auto", b"{}").payload(), &Value::from("{}"));
    assert_eq!(payload("buffer", b"x").payload(), &Value::Bytes("x".into()));
    assert_eq!(payload("base64", b"hi").payload(), &Value::from("aGk="));
    assert_eq!(payload("utf8", b"caf\xff").payload(), &Value::from("caf\u{fffd}"));
    assert!(matches!(payload("json", b"[1]").payload(), Value::Json(_)), "JSON is not parsed before somebody looks");
}

#[test]
fn payloads_are_detected() {
    use source::detect;
    assert_eq!(detect("21.5".into()), Value::Float(21.5));
    assert_eq!(detect("on".into()), Value::from("on"));
    assert_eq!(detect("true".into()), Value::Bool(true));
    assert_eq!(detect("[1,".into()), Value::from("[1,"));
    assert_eq!(detect((&b"\xff\x00"[..]).into()), Value::Bytes((&b"\xff\x00"[..]).into()));
    assert_eq!(detect("".into()), Value::from(""));
}

#[test]
fn what_is_no_json_is_an_error_with_the_message() {
    let broker = Mosquitto::start();
    let link = link_to(broker.port, false);
    let mut bench = node(&link, json!({"topic": "t", "datatype": "json"}));
    publish(&link, "t", b"{oops", Qos::AtMostOnce, false);
    let error = loop {
        bench = bench.signal(Signal::Enable(true));
        if let Some(error) = bench.seen().errors.pop() {
            break error;
        }
    };
    assert!(bench.take().is_empty());
    let message = error.message.unwrap();
    assert_eq!(message.payload(), &Value::from("{oops"));
    assert_eq!(message.body().keys().collect::<Vec<_>>(), ["topic", "payload", "qos", "retain", "_topic"]);
}

#[test]
fn known_state_is_told_apart_from_news() {
    let broker = Mosquitto::start();
    let link = link_to(broker.port, false);
    let listener = Listener::new(&link, "state");
    publish(&link, "state", b"on", Qos::AtLeastOnce, true);
    listener.next();
    let bench = node(&link, json!({"topic": "state", "qos": "1"}));
    let (_, sent) = wait_for(bench, 1);
    assert!(sent[0].flags().retained);
    assert_eq!(sent[0].get("retain"), Some(&Value::Bool(true)));
}

#[test]
fn mqtt_5_properties_come_with_the_message() {
    let broker = Mosquitto::start();
    let link = link_to(broker.port, true);
    let bench = node(&link, json!({"topic": "t"}));
    let properties = crate::network::mqtt::Properties {
        content_type: Some("text/plain".to_owned()),
        response_topic: Some("back".to_owned()),
        user: vec![("room".to_owned(), "7".to_owned())],
        ..Default::default()
    };
    let mut message = Outgoing::new("t", "5", Qos::AtLeastOnce);
    message.properties = Some(Box::new(properties));
    link.connection().unwrap().publish(vec![message]).unwrap();
    let (_, sent) = wait_for(bench, 1);
    assert_eq!(sent[0].payload(), &Value::from("5"), "declared as text");
    assert_eq!(sent[0].get("responseTopic"), Some(&Value::from("back")));
    assert_eq!(sent[0].get("userProperties").unwrap().get("room"), Some(&Value::from("7")));
}

#[test]
fn subscriptions_follow_messages() {
    let broker = Mosquitto::start();
    let link = link_to(broker.port, false);
    let bench = node(&link, json!({"inputs": 1}));
    let topics = json!([{"topic": "a", "qos": 1, "datatype": "utf8"}, "b"]);
    let bench = bench.send_json(json!({"action": "subscribe", "topic": topics}));
    drop(Listener::new(&link, "barrier"));
    publish(&link, "a", b"1", Qos::AtLeastOnce, false);
    let (bench, sent) = wait_for(bench, 1);
    assert_eq!(sent[0].payload(), &Value::from("1"));
    let (bench, sent) = wait_for(bench.send_json(json!({"action": "getSubscriptions"})), 1);
    assert_eq!(sent[0].payload().to_json(), r#"[{"topic":"a","qos":1},{"topic":"b","qos":2}]"#);
    let bench = bench.send_json(json!({"action": "unsubscribe", "topic": true}));
    let (bench, sent) = wait_for(bench.send_json(json!({"action": "getSubscriptions"})), 1);
    assert_eq!(sent[0].payload().to_json(), "[]");
    let bench = bench.send_json(json!({"action": "dance"}));
    assert!(bench.seen().errors[0].text.starts_with("\"dance\" is no action"));
}

#[test]
fn a_node_without_a_broker_says_so() {
    let bench = Bench::of::<MqttIn>(json!({"topic": "t"})).started_with(None);
    assert_eq!(bench.seen().errors[0].text, "missing broker configuration");
}
