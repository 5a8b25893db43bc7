//! Flows of real nodes, replayed over recorded events: everything is taken down, nothing is done, and it comes out the
//! same each time.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::net::TcpListener;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value as Json, json};
use tidewire_engine::NoCredentials;
use tidewire_engine::replay::{CancellationToken, End, Limits, Replay, Replayed, run};
use tidewire_model::event::{Event, EventId, NewEvent, Place, StreamName};
use tidewire_model::flow::FlowDocument;
use tidewire_model::position::Position;
use tidewire_node_api::Registry;

/// When the recording begins: 14 November 2023.
const BEGAN: i64 = 1_700_000_000_000;

/// Set for the process that is started to see whether another one comes to the same result.
const OTHER_PROCESS: &str = "TIDEWIRE_REPLAY_OF";

/// A recorded reading.
fn reading(number: u64, thing: &str, celsius: f64, at: i64) -> Arc<Event> {
    let stream = StreamName::new(format!("thing-{thing}")).unwrap();
    let place = Place { stream, position: Position::new(number), version: number, recorded_time: at };
    // Brought in by a node that is replayed too, as readings are.
    let event =
        NewEvent { node_id: Some("in".into()), ..NewEvent::json("reading-reported", &json!({"celsius": celsius})) };
    Arc::new(event.with_source("/flow/f/node/store").record(|| EventId::Bits(u128::from(number)), place))
}

/// Five things, a reading every two seconds; each is too hot for ten minutes of every half hour.
fn readings(count: u64) -> Vec<Arc<Event>> {
    let each = |number: u64| {
        let at = BEGAN + i64::try_from(number).unwrap() * 2_000;
        let minute = at / 60_000 + i64::try_from(number % 5).unwrap() * 7;
        let celsius = if minute % 30 < 10 { 35.5 } else { 21.25 };
        reading(number, &format!("room-{}", number % 5), celsius, at)
    };
    (1..=count).map(each).collect()
}

/// Too hot for a minute: notify, store, switch the fan on.
fn flow(port: u16) -> Json {
    json!([
        {"id": "f", "type": "tab", "label": "Heat"},
        {"id": "broker", "type": "mqtt-broker", "broker": "127.0.0.1", "port": port.to_string()},
        {"id": "in", "type": "event-store-in", "z": "f", "category": "thing", "eventTypes": ["reading-reported"],
            "durable": "heat", "wires": [["hot"]]},
        {"id": "hot", "type": "rule", "z": "f", "for": 60, "cooldown": 300,
            "conditions": {"property": "payload.celsius", "op": "gt", "value": 30},
            "wires": [["tell", "store", "fan", "late"], ["store"]]},
        {"id": "tell", "type": "notifier", "z": "f", "channel": "ntfy", "topic": "home", "message": "{{topic}} is hot",
            "wires": [[], []]},
        {"id": "store", "type": "event-store-append", "z": "f", "stream": "alarm-{{topic}}",
            "eventType": "alarm-{{rule.state}}", "data": "rule", "wires": [[], []]},
        {"id": "fan", "type": "actuator-out", "z": "f", "broker": "broker", "topic": "fan/{{topic}}/set", "payload": "on",
            "confirmTopic": "fan/{{topic}}", "timeout": 5, "ttl": 60, "retries": 1, "wires": [[], []]},
        {"id": "late", "type": "delay", "z": "f", "pauseType": "delay", "timeout": "5", "timeoutUnits": "minutes",
            "wires": [["later"]]},
        {"id": "later", "type": "change", "z": "f", "rules": [{"t": "set", "p": "late", "pt": "msg", "to": "true",
            "tot": "bool"}], "wires": [[]]},
    ])
}

fn replay(flow: Json, events: Vec<Arc<Event>>) -> Replay {
    let to = events.last().map_or(BEGAN, |event| event.recorded_time) + 600_000;
    Replay {
        document: FlowDocument::from_json(flow).unwrap(),
        registry: Arc::new(Registry::new(&crate::all()).unwrap()),
        credentials: Arc::new(NoCredentials),
        env: Arc::new(|_| None),
        events: Box::new(events.into_iter().map(Ok)),
        from: BEGAN,
        to,
        taps: vec!["later".into()],
        limits: Limits::default(),
        cancel: CancellationToken::new(),
        progress: Box::new(|_| {}),
    }
}

fn kinds(replayed: &Replayed, kind: &str, node: &str) -> Vec<Json> {
    let json = serde_json::to_value(&replayed.trace).unwrap();
    let all = json.as_array().unwrap().iter();
    all.filter(|entry| entry["kind"] == kind && entry["node"] == node).cloned().collect()
}

#[test]
fn a_day_of_readings_is_replayed_the_same_each_time_and_nothing_is_done() {
    const READINGS: u64 = 10_000;
    if let Ok(port) = std::env::var(OTHER_PROCESS) {
        let replayed = run(replay(flow(port.parse().unwrap()), readings(READINGS))).unwrap();
        println!("RESULT{}", serde_json::to_string(&replayed).unwrap());
        return;
    }
    // Where the broker would be: nobody may come.
    let broker = TcpListener::bind("127.0.0.1:0").unwrap();
    broker.set_nonblocking(true).unwrap();
    let port = broker.local_addr().unwrap().port();
    let began = Instant::now();
    let first = run(replay(flow(port), readings(READINGS))).unwrap();
    let took = began.elapsed();
    println!("{} events in {took:?}: {:.0}/s", first.events, first.events as f64 / took.as_secs_f64());
    assert_eq!((first.end, first.events, first.made_anew), (End::Complete, READINGS, 0));
    assert!(first.problems.is_empty(), "{:?}", first.problems);
    assert!(took.as_secs() < 60, "five and a half hours in {took:?}");

    // Eleven times half an hour: each room was hot, and cooled down again.
    let sent = kinds(&first, "requested", "tell");
    assert!((50..=60).contains(&sent.len()), "{}", sent.len());
    assert!(sent[0]["body"].as_str().unwrap().contains("room-"));
    let stored = kinds(&first, "appended", "store");
    let fired = stored.iter().filter(|entry| entry["event"]["type"] == "alarm-firing").count();
    assert_eq!(fired, sent.len());
    let due = stored[0]["event"]["data"]["since"].as_i64().unwrap() + 60_000;
    assert_eq!(stored[0]["time"].as_i64(), Some(due), "a minute after it began, to the millisecond");
    let late = kinds(&first, "seen", "later").into_iter().filter(|entry| entry["dir"] == "out");
    let late: Vec<Json> = late.collect();
    assert_eq!(late.len(), fired);
    assert_eq!(late[0]["time"].as_i64(), Some(due + 300_000));
    let published = kinds(&first, "published", "broker");
    assert_eq!(published.len(), fired * 2, "nobody confirms, so each command is given twice");
    assert!(broker.accept().is_err(), "nobody came");

    let text = serde_json::to_string(&first).unwrap();
    let second = run(replay(flow(port), readings(READINGS))).unwrap();
    assert!(serde_json::to_string(&second).unwrap() == text, "another result in the same process");
    let name = "actions::replay_tests::a_day_of_readings_is_replayed_the_same_each_time_and_nothing_is_done";
    let mut other = Command::new(std::env::current_exe().unwrap());
    other.args(["--exact", name, "--nocapture"]).env(OTHER_PROCESS, port.to_string());
    let output = String::from_utf8(other.output().unwrap().stdout).unwrap();
    let third = output.lines().find_map(|line| line.split_once("RESULT")).unwrap().1;
    assert!(third == text, "another result in another process");
}

/// A reading that a node of the flow stored earlier, and an alarm that it made from it.
#[test]
fn what_the_flow_had_made_of_the_events_is_made_anew() {
    let mut events = readings(200);
    let made = Event {
        id: "alarm-1".into(),
        event_type: "alarm-firing".into(),
        stream: StreamName::new("alarm-thing-room-0").unwrap(),
        causation_id: Some(events[10].id.clone()),
        node_id: Some("store".into()),
        ..Event::clone(&events[100])
    };
    events.insert(101, Arc::new(made));
    let replayed = run(replay(flow(1), events)).unwrap();
    assert_eq!((replayed.events, replayed.made_anew), (200, 1));
}

#[test]
fn a_replay_ends_when_it_is_told_to_and_at_its_limits() {
    let cancel = CancellationToken::new();
    let (stop, seen) = (cancel.clone(), Arc::new(std::sync::Mutex::new(Vec::new())));
    let told = seen.clone();
    let progress = Box::new(move |progress: tidewire_engine::replay::Progress| {
        told.lock().unwrap().push(progress.events);
        stop.cancel();
    });
    let replayed = run(Replay { cancel, progress, ..replay(flow(1), readings(10_000)) }).unwrap();
    assert_eq!(replayed.end, End::Cancelled);
    assert!(replayed.events < 1_100, "{}", replayed.events);
    assert_eq!(seen.lock().unwrap().last(), Some(&replayed.events));

    let limits = Limits { entries: 20, ..Limits::default() };
    let replayed = run(Replay { limits, ..replay(flow(1), readings(10_000)) }).unwrap();
    assert_eq!((replayed.end, replayed.trace.len()), (End::Limited, 20));
    let limits = Limits { events: 500, ..Limits::default() };
    let replayed = run(Replay { limits, ..replay(flow(1), readings(10_000)) }).unwrap();
    assert!(replayed.end == End::Limited && replayed.events <= 500);
}
