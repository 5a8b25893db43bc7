#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use super::*;
use parking_lot::Mutex;
use serde_json::{Value as Json, json};
use std::time::{Duration, Instant};
use tidewire_node_api::AckSink;
use tidewire_node_api::bench::Bench;

use crate::network::mqtt_broker::tests::link_to;
use crate::network::testing::{Listener, Mosquitto};

fn node(link: &Arc<BrokerLink>, mut config: Json) -> Bench {
    config["broker"] = json!("b");
    Bench::of::<MqttOut>(config).with_resource("b", link.clone()).started_with(None)
}

#[test]
fn payloads_leave_as_text_bytes_or_json() {
    let broker = Mosquitto::start();
    let link = link_to(broker.port, false);
    let listener = Listener::new(&link, "t");
    let mut bench = node(&link, json!({"topic": "t", "qos": "1"}));
    for (payload, sent) in [
        (Value::from("text"), "text"),
        (Value::Bytes("bytes".into()), "bytes"),
        (Value::Float(1.5), "1.5"),
        (Value::Bool(true), "true"),
        (Value::Null, ""),
        (Value::from_json(r#"{"a":[1]}"#).unwrap(), r#"{"a":[1]}"#),
        (Value::lazy_json(r#"{ "as": "it came" }"#.into()).unwrap(), r#"{ "as": "it came" }"#),
    ] {
        bench = bench.send(payload);
        let message = listener.next();
        assert_eq!((message.payload.as_ref(), message.qos), (sent.as_bytes(), Qos::AtLeastOnce));
    }
}

#[test]
fn what_the_node_leaves_open_comes_from_the_message() {
    let broker = Mosquitto::start();
    let link = link_to(broker.port, true);
    let listener = Listener::new(&link, "#");
    let bench = node(&link, json!({"contentType": "text/plain"}));
    let bench = bench.send_json(json!({"topic": "a/b", "payload": 1, "qos": "1", "responseTopic": "back",
        "userProperties": {"k": "v"}, "correlationData": "id-1"}));
    let message = listener.next();
    let properties = message.properties.unwrap();
    assert_eq!((&*message.topic, message.qos), ("a/b", Qos::AtLeastOnce));
    assert_eq!(properties.content_type.as_deref(), Some("text/plain"));
    assert_eq!(properties.response_topic.as_deref(), Some("back"));
    assert_eq!(properties.correlation_data.as_deref(), Some(&b"id-1"[..]));
    assert!(properties.user.contains(&("k".to_owned(), "v".to_owned())));

    let bench = bench.send_json(json!({"topic": "a/+", "payload": 1})).send_json(json!({"topic": "no/payload"}));
    let seen = bench.seen();
    assert_eq!(seen.logs[0].1, "Invalid topic specified: a/+");
    assert_eq!(seen.logs.len(), 1);
    drop(bench.send_json(json!({"topic": "last", "payload": 2})));
    assert_eq!(&*listener.next().topic, "last");
}

#[derive(Default)]
struct Ended(Mutex<Vec<Outcome>>);

impl AckSink for Ended {
    fn complete(&self, _id: u64, outcome: Outcome) {
        self.0.lock().push(outcome);
    }
}

/// A feed that nobody reads.
struct Deaf;

impl Feed for Deaf {
    fn feed(&self, deliveries: &mut Batch) -> usize {
        let count = deliveries.len();
        deliveries.clear();
        count
    }

    fn room(&self) -> usize {
        usize::MAX
    }

    fn wait_room(&self) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(std::future::ready(()))
    }

    fn signal(&self, _signal: Signal) {}
}

#[test]
fn a_message_is_dealt_with_when_the_broker_has_confirmed_it() {
    let broker = Mosquitto::start();
    let link = link_to(broker.port, false);
    let ended = Arc::new(Ended::default());
    let mut out = MqttOut::build(
        serde_json::from_value(json!({"broker": "b", "topic": "t", "qos": "1"})).unwrap(),
        &BuildEnv { id: "out".into(), outputs: 0 },
    )
    .unwrap();
    out.feed = Some(Arc::new(Deaf));
    let posts = (0..3).map(|id| {
        let message = Message::with_payload(1, 5);
        let mut outgoing = out.fixed.outgoing(&message, false).ok().unwrap();
        let deferred = Deferred { token: Some(Token::new(ended.clone(), id)), completion: None };
        outgoing.done = out.when_done(&outgoing, &message, deferred);
        outgoing
    });
    link.connect().unwrap();
    link.connection().unwrap().publish(posts.collect()).unwrap();
    let began = Instant::now();
    while ended.0.lock().len() < 3 {
        assert!(began.elapsed() < Duration::from_secs(20), "the broker never confirmed");
        std::thread::yield_now();
    }
    assert_eq!(*ended.0.lock(), [Outcome::Done; 3]);
}
