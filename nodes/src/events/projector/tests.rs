//! What a user of `projector` relies on, over a real log in memory.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use serde_json::json;
use tidewire_model::Value;
use tidewire_node_api::bench::Bench;
use tidewire_node_api::handles::{At, Projections};

use super::*;
use crate::events::test_log::{TestLog, collect};

fn started(log: &TestLog, config: serde_json::Value) -> Bench {
    let _entered = log.runtime.enter();
    Bench::of::<Projector>(config).with_services(log.services()).started_with(None)
}

fn value(log: &TestLog, key: &str) -> Option<Value> {
    log.caught_up("p");
    let entry = log.runtime.block_on(log.projections.get("p", key)).unwrap();
    entry.map(|entry| entry.value)
}

#[test]
fn every_reducer_keeps_what_it_says() {
    for (reducer, expected) in [
        ("latest", json!("12")),
        ("first", json!(3)),
        ("count", json!(3)),
        ("sum", json!(20.5)),
        ("min", json!(3)),
        ("max", json!("12")),
        ("average", json!(20.5 / 3.0)),
    ] {
        let log = TestLog::new();
        let config = json!({"projection": "p", "reducer": reducer, "property": "n", "category": "thing-"});
        let _bench = started(&log, config);
        for data in [json!({"n": 3}), json!({"n": 5.5}), json!({"other": 1}), json!({"n": "12"})] {
            log.append("thing-a", "reading-reported", data);
        }
        log.append("user-x", "reading-reported", json!({"n": 1_000}));
        let expected = if reducer == "max" { Value::Int(12) } else { Value::from(expected) };
        assert_eq!(value(&log, "thing-a"), Some(expected), "{reducer}");
        assert_eq!(value(&log, "user-x"), None);
    }
}

#[test]
fn keys_come_from_any_part_of_the_event() {
    for (key, expected) in [
        ("{{thing}}", "a/b"),
        ("{{type}} in {{data.room}}", "moved in hall"),
        ("all", "all"),
        ("{{subject}}", "thing-a/b"),
    ] {
        let log = TestLog::new();
        let _bench = started(&log, json!({"projection": "p", "key": key, "reducer": "count"}));
        log.append("thing-a/b", "moved", json!({"room": "hall"}));
        assert_eq!(value(&log, expected), Some(Value::Int(1)), "{key}");
    }
}

#[test]
fn changes_are_sent_and_history_is_not() {
    let log = TestLog::new();
    log.append("thing-a", "reading-reported", json!({"n": 1}));
    let bench = started(&log, json!({"projection": "p", "property": "n"}));
    log.caught_up("p");
    for n in [1, 2, 2, 3] {
        log.append("thing-a", "reading-reported", json!({"n": n}));
    }
    let (bench, messages) = collect(bench, 2);
    let sent: Vec<String> = messages.iter().map(|message| Value::object(message.body().clone()).to_json()).collect();
    let time = log.events()[2].time;
    assert_eq!(sent[0], format!(r#"{{"topic":"thing-a","payload":2,"projection":"p","position":3,"time":{time}}}"#));
    assert_eq!((sent.len(), messages[1].payload()), (2, &Value::Int(3)), "a value that stays the same is no change");
    assert_ne!(messages[0].msgid(), messages[1].msgid());
    log.caught_up("p");
    let bench = bench.after_ms(1_000);
    assert_eq!(bench.seen().statuses.last().unwrap(), &Status::ok("1 key"));
}

#[test]
fn a_script_may_keep_what_it_likes() {
    let log = TestLog::new();
    let script = r#"
        fn apply(state, event) {
            if event.type == "removed" { return (); }
            if event.value < 0 { throw "below zero"; }
            let state = if state == () { #{ seen: 0, high: event.value } } else { state };
            state.seen += 1;
            if event.value > state.high { state.high = event.value; }
            state
        }"#;
    let config = json!({"projection": "p", "reducer": "script", "property": "n", "script": script});
    let _bench = started(&log, config);
    for n in [3, 9, -1, 5] {
        log.append("thing-a", "reading-reported", json!({"n": n}));
    }
    assert_eq!(value(&log, "thing-a").unwrap(), Value::from(json!({"seen": 3, "high": 9})));
    assert!(log.projections.parked("p", 10).unwrap()[0].reason.contains("below zero"));
    log.append("thing-a", "removed", json!({"n": 0}));
    assert_eq!(value(&log, "thing-a"), None);
    for script in ["", "fn apply(state) { 1 }", "fn apply(state, event) { "] {
        let problems = Bench::try_of::<Projector>(json!({"reducer": "script", "script": script})).err().unwrap();
        assert!(problems.contains("/script"), "{problems}");
    }
}

#[test]
fn what_is_no_number_is_parked_and_said_in_the_status() {
    let log = TestLog::new();
    let bench = started(&log, json!({"projection": "p", "reducer": "sum"}));
    log.append("thing-a", "reading-reported", json!({"n": 1}));
    log.append("thing-a", "reading-reported", json!(2));
    assert_eq!(value(&log, "thing-a"), Some(Value::Int(2)));
    let parked = log.projections.parked("p", 10).unwrap();
    assert_eq!(parked[0].reason, r#"the data is no number but object {"n":1}; name one of its properties"#);
    let bench = bench.after_ms(1_000);
    assert_eq!(bench.seen().statuses.last().unwrap().text, "1 key, 1 parked");
}

#[test]
fn the_past_is_computed_by_the_same_reducer() {
    let log = TestLog::new();
    let _bench = started(&log, json!({"projection": "p", "reducer": "average", "property": "n"}));
    let positions: Vec<_> = [2, 4, 9].map(|n| log.append("thing-a", "reading-reported", json!({"n": n}))).into();
    log.caught_up("p");
    for (position, expected) in positions.into_iter().zip([2.0, 3.0, 5.0]) {
        let entry = log.runtime.block_on(log.projections.get_at("p", "thing-a", At::Position(position))).unwrap();
        assert_eq!(entry.unwrap().value, Value::Float(expected));
    }
}

#[test]
fn a_name_is_kept_by_one_node_and_bad_configurations_are_refused() {
    let log = TestLog::new();
    let first = started(&log, json!({"projection": "p"}));
    let second = started(&log, json!({"projection": "p"}));
    assert!(second.seen().errors[0].text.contains("another node keeps the projection \"p\""));
    assert!(first.stop(StopReason::Replaced).is_none());
    let third = started(&log, json!({"projection": "p"}));
    assert!(third.seen().errors.is_empty());
    for (config, path) in [
        (json!({"key": "{{#a}}"}), "/key"),
        (json!({"property": "a b"}), "/property"),
        (json!({"reducer": "median"}), "/reducer"),
        (json!({"projection": "x".repeat(49)}), "/projection"),
    ] {
        let problems = Bench::try_of::<Projector>(config).err().unwrap();
        assert!(problems.contains(path), "{problems}");
    }
}

#[test]
fn what_it_lacks_is_said_in_its_status() {
    let progress = Progress { keys: 2, lacks: Position::new(300), ..Progress::default() };
    let shown = status(&progress, 0, None);
    assert_eq!(shown, Status::new(Fill::Yellow, Shape::Dot, "2 keys, lacks events up to 300 that retention removed"));
}

#[test]
fn a_filter_that_fails_on_events_is_told() {
    let log = TestLog::new();
    let config = json!({"projection": "p", "reducer": "count", "filter": "data.on"});
    let bench = started(&log, config);
    for data in [json!({"on": true}), json!({"on": 5}), json!({"on": "yes"})] {
        log.append("thing-a", "reading-reported", data);
    }
    log.caught_up("p");
    let bench = bench.after_ms(2_000);
    let status = bench.seen().statuses.last().unwrap().clone();
    assert!(status.text.contains(", filter fails on 2 events, left out: "), "{status:?}");
    assert_eq!(status.fill, Some(Fill::Yellow));
}
