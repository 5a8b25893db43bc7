//! What a user of `event-store-append` relies on, over a real log in memory.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::sync::Mutex;

use serde_json::json;
use tidewire_model::append::{AppendError, Appended};
use tidewire_model::event::BINARY;
use tidewire_model::message::Provenance;
use tidewire_model::position::Position;
use tidewire_node_api::bench::Bench;
use tidewire_node_api::{AckSink, Deferred, Emission, Outcome, Token};

use super::*;
use crate::events::test_log::TestLog;

fn bench(log: &TestLog, config: serde_json::Value) -> Bench {
    Bench::of::<EventStoreAppend>(config).with_services(log.services())
}

fn caused(cause: &str, payload: impl Into<Value>) -> Message {
    let mut message = Message::with_payload(1, payload);
    message.set("topic", "a");
    message.set_provenance(Arc::new(Provenance { causes: vec![cause.into()], ..Provenance::default() }));
    message
}

#[test]
fn a_message_becomes_an_event_and_goes_on_with_its_place() {
    let log = TestLog::new();
    let mut bench = bench(&log, json!({})).send_json(json!({"topic": "greenhouse/soil", "payload": {"celsius": 21.5}}));
    let (port, message) = bench.take().remove(0);
    let event = &log.events()[0];
    assert_eq!((event.stream.as_str(), event.event_type.as_str()), ("thing-greenhouse/soil", "reading-reported"));
    assert_eq!((&*event.data, event.is_json()), (&br#"{"celsius":21.5}"#[..], true));
    assert_eq!((event.node_id.as_deref(), event.source.as_str()), (Some("bench"), "/flow/flow/node/bench"));
    assert_eq!((event.time, event.raw.is_none(), event.causation_id.is_none()), (1_700_000_000_000, true, true));
    let shown = message.get("event").unwrap();
    assert_eq!((port, shown.get("position"), shown.get("version")), (0, Some(&Value::Int(1)), Some(&Value::Int(1))));
    let id = event.id.to_string();
    assert_eq!(shown.get("id").unwrap().as_str(), Some(&*id));
    assert_eq!(shown.get("stream").unwrap().as_str(), Some("thing-greenhouse/soil"));
    assert_eq!(message.provenance().unwrap().causes, std::slice::from_ref(&id));
    assert_eq!(message.provenance().unwrap().correlation.as_ref(), Some(&id));
}

#[test]
fn templates_and_typed_inputs_say_what_is_stored_where() {
    let log = TestLog::new();
    let config = json!({"stream": "user-{{payload.user}}", "eventType": "{{topic}}-pressed", "data": "payload.n"});
    let _ = bench(&log, config).send_json(json!({"topic": "button", "payload": {"user": "ann", "n": 7}}));
    let event = &log.events()[0];
    assert_eq!((event.stream.as_str(), event.event_type.as_str()), ("user-ann", "button-pressed"));
    assert_eq!(&*event.data, b"7");
    for (config, path) in [
        (json!({"stream": "{{#x}}"}), "/stream"),
        (json!({"expectedVersion": "some"}), "/expectedVersion"),
        (json!({"data": "a b"}), "/data"),
        (json!({"stream": ""}), "/stream"),
    ] {
        let problems = Bench::try_of::<EventStoreAppend>(config).err().unwrap();
        assert!(problems.contains(path), "{problems}");
    }
}

#[test]
fn expected_versions_decide_and_refused_messages_leave_by_the_second_output() {
    let log = TestLog::new();
    let mut bench = bench(&log, json!({"stream": "door-1", "expectedVersion": "msg.expected"}));
    for expected in [json!("none"), json!(1), json!(1), json!("exists"), json!("sometimes"), json!(null)] {
        bench = bench.send_json(json!({"payload": 1, "expected": expected}));
    }
    let sent: Vec<(usize, String)> = bench
        .take()
        .iter()
        .map(|(port, message)| {
            let code = message.get("error").and_then(|error| error.get("code"));
            (*port, code.map(|code| code.to_text().into_owned()).unwrap_or_default())
        })
        .collect();
    let expected = [(0, ""), (0, ""), (1, "version_conflict"), (0, ""), (1, "invalid"), (1, "invalid")];
    assert_eq!(sent, expected.map(|(port, code)| (port, code.to_owned())));
    assert_eq!(log.events().len(), 3);
    let statuses = bench.seen().statuses;
    assert!(statuses[0].text.contains("is at version 2, not 1"), "{statuses:?}");
    assert_eq!(statuses[1], Status::default(), "the next success clears it");
}

#[test]
fn a_name_that_lacks_its_part_is_refused() {
    let log = TestLog::new();
    let mut bench = bench(&log, json!({})).send(1);
    let (port, message) = bench.take().remove(0);
    let reason = message.get("error").unwrap().get("message").unwrap().to_text().into_owned();
    assert_eq!(port, 1);
    assert!(reason.contains("\"thing-\" is incomplete"), "{reason}");
}

#[test]
fn a_step_repeated_after_a_crash_is_stored_once() {
    let log = TestLog::new();
    for _run in 0..2 {
        // A new instance remembers nothing of the first run.
        let mut bench = bench(&log, json!({}));
        for payload in ["on", "off", "on"] {
            bench = bench.send_message(caused("01ARZ3NDEKTSV4RRFFQ69G5FAV", payload));
        }
        assert!(bench.take().iter().all(|(port, _)| *port == 0));
    }
    let stored: Vec<String> =
        log.events().iter().map(|event| String::from_utf8_lossy(&event.data).into_owned()).collect();
    assert_eq!(stored, [r#""on""#, r#""off""#], "one event for each different message of one cause");
    let event = &log.events()[0];
    assert_eq!(event.causation_id.as_ref().unwrap().to_string(), "01ARZ3NDEKTSV4RRFFQ69G5FAV");
    assert_eq!(event.correlation_id, event.causation_id);
}

#[test]
fn messages_without_a_cause_are_stored_each() {
    let log = TestLog::new();
    let mut bench = bench(&log, json!({}));
    for _ in 0..3 {
        bench = bench.send_json(json!({"topic": "a", "payload": 1, "_msgid": "same"}));
    }
    assert_eq!(log.events().len(), 3);
}

#[test]
fn an_id_of_ones_own_makes_repetition_harmless() {
    let log = TestLog::new();
    let mut bench = bench(&log, json!({"eventId": "payload.order"}));
    for _ in 0..2 {
        bench = bench.send_json(json!({"topic": "a", "payload": {"order": "17"}}));
    }
    let sent = bench.send_json(json!({"topic": "b", "payload": {"order": "17"}})).take();
    let ports: Vec<usize> = sent.iter().map(|(port, _)| *port).collect();
    assert_eq!((ports, log.events().len()), (vec![0, 0, 1], 1));
    assert_eq!(sent[1].1.get("event").unwrap().get("deduplicated"), Some(&Value::Bool(true)));
    assert_eq!(log.events()[0].id.to_string(), "17");
}

#[test]
fn what_came_over_mqtt_is_kept_as_it_was_and_the_devices_time_counts() {
    let log = TestLog::new();
    let mut message =
        Message::with_payload(1, Value::lazy_json("{ \"c\": 1.50, \"time\": 1699999999 }".into()).unwrap());
    message.set("topic", "a/b");
    message.set("qos", 1);
    message.set("retain", false);
    let mut changed = message.clone();
    changed.set_payload(3);
    changed.set("time", "2023-11-14T22:00:00Z");
    let mut bytes = message.clone();
    bytes.set_payload(Value::Bytes("\u{1}".into()));
    let _ = bench(&log, json!({})).send_message(message).send_message(changed).send_message(bytes);
    let events = log.events();
    let raw = events[0].raw.as_ref().unwrap();
    assert_eq!((raw.topic.as_str(), raw.retain, raw.qos), ("a/b", false, 1));
    assert_eq!((&raw.payload, &events[0].data), (&events[0].data, &"{ \"c\": 1.50, \"time\": 1699999999 }".into()));
    assert_eq!(events[0].time, 1_699_999_999_000);
    assert!(events[1].raw.is_none(), "the payload is another one");
    assert_eq!(events[1].time, 1_699_999_200_000);
    assert_eq!(events[2].data_content_type, BINARY);
}

#[test]
fn extension_attributes_are_texts_numbers_and_properties_of_the_message() {
    let log = TestLog::new();
    let row =
        |name: &str, value: serde_json::Value, kind: &str| json!({"name": name, "value": value, "valueType": kind});
    let config = json!({"extensions": [
        row("ward", json!("north"), "str"),
        row("bed", json!("4"), "num"),
        row("urgent", json!("true"), "bool"),
        row("traceparent", json!("headers.traceparent"), "msg"),
    ]});
    let mut bench = bench(&log, config)
        .send_json(json!({"topic": "a", "payload": 1, "headers": {"traceparent": "00-0af7-01"}}))
        .send_json(json!({"topic": "a", "payload": 2, "headers": {"traceparent": 1.5}}))
        .send_json(json!({"topic": "a", "payload": 3}));
    let events = log.events();
    let stored: Vec<String> =
        events.iter().map(|event| event.extensions.to_value().unwrap().to_text().into_owned()).collect();
    assert_eq!(
        stored,
        [
            r#"{"bed":4,"traceparent":"00-0af7-01","urgent":true,"ward":"north"}"#,
            r#"{"bed":4,"urgent":true,"ward":"north"}"#,
        ]
    );
    assert_eq!(&*events[1].data, b"3");
    let sent = bench.take();
    let reason = sent[1].1.get("error").unwrap().get("message").unwrap().to_text().into_owned();
    assert_eq!(sent.iter().map(|(port, _)| *port).collect::<Vec<_>>(), [0, 1, 0]);
    assert!(reason.contains("'traceparent' is neither a text"), "{reason}");
}

#[test]
fn extension_attributes_that_cannot_be_are_told_before_the_node_runs() {
    for (row, path, told) in [
        (json!({"name": "Ward"}), "/extensions/0/name", "lower-case letters and digits"),
        (json!({}), "/extensions/0/name", "lower-case letters and digits"),
        (json!({"name": "subject"}), "/extensions/0/name", "\"subject\" has a meaning of its own"),
        (json!({"name": "bed", "value": "4.5", "valueType": "num"}), "/extensions/0/value", "32 bits"),
        (json!({"name": "bed", "value": "a b", "valueType": "msg"}), "/extensions/0/value", "a b"),
    ] {
        let problems = Bench::try_of::<EventStoreAppend>(json!({"extensions": [row]})).err().unwrap();
        assert!(problems.contains(path) && problems.contains(told), "{problems}");
    }
    let twice = json!({"extensions": [{"name": "bed", "value": "1"}, {"name": "bed", "value": "2"}]});
    let problems = Bench::try_of::<EventStoreAppend>(twice).err().unwrap();
    assert!(problems.contains("/extensions/1/name") && problems.contains("bed stands there twice"), "{problems}");
}

#[test]
fn messages_of_one_cause_that_differ_in_their_extension_attributes_are_stored_each() {
    let log = TestLog::new();
    let mut bench = bench(&log, json!({"extensions": [{"name": "bed", "value": "bed", "valueType": "msg"}]}));
    for bed in [4, 5, 4] {
        let mut message = caused("01ARZ3NDEKTSV4RRFFQ69G5FAV", "on");
        message.set("bed", bed);
        bench = bench.send_message(message);
    }
    assert!(bench.take().iter().all(|(port, _)| *port == 0));
    assert_eq!(log.events().len(), 2);
}

#[derive(Default)]
struct Seen(Mutex<Vec<(u64, Outcome)>>);

impl AckSink for Seen {
    fn complete(&self, id: u64, outcome: Outcome) {
        self.0.lock().unwrap().push((id, outcome));
    }
}

#[test]
fn tokens_go_with_what_is_stored_and_fail_with_what_could_be_stored_later() {
    struct Silent;
    impl tidewire_node_api::Feed for Silent {
        fn feed(&self, _: &mut Batch) -> usize {
            0
        }
        fn room(&self) -> usize {
            0
        }
        fn wait_room(&self) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
            Box::pin(std::future::pending())
        }
        fn signal(&self, _: Signal) {}
    }
    let seen = Arc::new(Seen::default());
    let request = AppendRequest::one(StreamName::new("a-1").unwrap(), NewEvent::json("x", &json!(1)).with_id("i"));
    let pending = |id| {
        let token = Token::new(seen.clone(), id);
        Pending::new(Message::with_payload(id, 1), Deferred { token: Some(token), completion: None }, &request)
    };
    let position = Position::new(4);
    let appended = Appended { first_position: position, last_position: position, version: 1, deduplicated: false };
    let results = vec![Ok(appended), Err(AppendError::DiskFull), Err(AppendError::Empty)];
    let watch = Watch::new(Arc::new(Silent));
    let all = emissions(vec![pending(1), pending(2), pending(3)], results, &watch);
    assert!(seen.0.lock().unwrap().is_empty(), "nothing ends before the emissions are sent");
    assert!(matches!(&all[0], Emission::Emit { port: 0, token: Some(_), .. }));
    assert!(matches!(&all[1], Emission::Retry { token: Some(_), .. }));
    assert!(matches!(&all[2], Emission::Emit { port: 1, token: Some(_), .. }));
    drop(all);
    assert_eq!(seen.0.lock().unwrap().len(), 3);
}

#[test]
fn a_message_that_its_source_brings_again_is_stored_once() {
    let log = TestLog::new();
    let ingested = |ingest: &str, part: Option<i64>| {
        let mut message = Message::with_payload(1, "x");
        message.set("topic", "a");
        if let Some(index) = part {
            let parts: tidewire_model::Map = [("index", Value::Int(index))].into_iter().collect();
            message.set("parts", Value::object(parts));
        }
        message.set_provenance(Arc::new(Provenance { ingest: Some(ingest.into()), ..Provenance::default() }));
        // Every time as after a restart.
        let _ = bench(&log, json!({})).send_message(message);
    };
    ingested("a-1", None);
    ingested("a-1", None);
    ingested("a-2", None);
    assert_eq!(log.events().len(), 2, "another message with the same content is another event");
    ingested("a-3", Some(0));
    ingested("a-3", Some(1));
    ingested("a-3", Some(1));
    let events = log.events();
    assert_eq!(events.len(), 4, "equal parts of one message are different events");
    assert!(events.iter().all(|event| event.causation_id.is_none()));
}

#[test]
fn complete_nodes_hear_of_a_message_once_it_is_stored_and_not_of_a_refused_one() {
    let log = TestLog::new();
    let bench = bench(&log, json!({"stream": "{{payload.name}}"})).with_completions();
    let bench = bench.send_json(json!({"payload": {"name": "a"}})).send_json(json!({"payload": {}}));
    let completed = bench.seen().completed;
    assert_eq!(completed.len(), 1);
    assert_eq!(completed[0].payload().get("name").and_then(Value::as_str), Some("a"));
    assert!(completed[0].get("event").is_none(), "it is the message that came in");
}
