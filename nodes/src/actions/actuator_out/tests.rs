//! The life of commands on virtual time.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::{Value as Json, json};
use tidewire_model::append::AppendRequest;
use tidewire_model::event::{NewEvent, StreamName};
use tidewire_model::message::{Flags, Provenance};
use tidewire_model::{Message, Value};
use tidewire_node_api::bench::Bench;

use super::ActuatorOut;
use crate::actions::testing::{TestHttp, TestLog, TestWire, nudge, services};
use crate::actions::wire::{Heard, Posted};

struct World {
    log: Arc<TestLog>,
    wire: Arc<TestWire>,
}

fn world() -> World {
    World { log: Arc::default(), wire: TestWire::up() }
}

impl World {
    fn bench(&self, more: &Json) -> Bench {
        let mut config = json!({
            "broker": "b", "topic": "gh/{{topic}}/set", "confirmTopic": "gh/v1", "timeout": 10, "ttl": 60, "retries": 1,
        });
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let http = Arc::new(TestHttp::default());
        Bench::of::<ActuatorOut>(config)
            .with_services(services(&self.log, &http))
            .with_resource("b", self.wire.clone())
            .started_with(None)
    }

    fn delivered(&self, bench: Bench) -> Bench {
        self.wire.finish(Posted::Delivered { heard: true });
        nudge(bench)
    }

    fn says(&self, bench: Bench, payload: &str) -> Bench {
        self.wire.say("gh/v1", payload);
        nudge(bench)
    }
}

fn open() -> Json {
    json!({"topic": "v1", "payload": "open"})
}

fn outcome(sent: &[(usize, Message)]) -> (usize, String) {
    assert_eq!(sent.len(), 1, "{sent:?}");
    let state = sent[0].1.get("command").unwrap().get("state").unwrap().to_text().into_owned();
    (sent[0].0, state)
}

#[test]
fn a_command_is_requested_sent_delivered_and_confirmed() {
    let world = world();
    let bench = world.bench(&json!({})).send_json(open());
    assert_eq!(world.log.kinds(), ["requested", "sent"]);
    {
        let posts = world.wire.posts.lock().unwrap();
        assert_eq!((posts[0].topic.as_str(), &posts[0].payload[..]), ("gh/v1/set", &b"open"[..]));
        assert!(posts[0].assured && !posts[0].retain);
        assert_eq!(posts[0].expiry_s, Some(60));
    }
    let bench = world.delivered(bench).after_ms(1_300);
    let mut bench = world.says(bench, "open");
    assert_eq!(world.log.kinds(), ["requested", "sent", "delivered", "confirmed"]);
    let confirmed = world.log.seen()[3].1.clone();
    assert_eq!((&confirmed["payload"], &confirmed["afterMs"]), (&json!("open"), &json!(1_300)));
    let sent = bench.take();
    assert_eq!(outcome(&sent), (0, "confirmed".into()));
    assert_eq!(sent[0].1.payload(), &Value::string("open"));
    assert_eq!(bench.seen().statuses.last().unwrap().text, "confirmed in 1.3 s");
    let events = world.log.events();
    assert!(events.iter().all(|event| event.stream == events[0].stream));
    assert!(events[1..].iter().all(|event| event.causation_id.as_ref() == Some(&events[0].id)));
    assert!(bench.after_ms(120_000).take().is_empty());
}

#[test]
fn without_an_answer_it_is_sent_again_and_then_fails() {
    let world = world();
    let bench = world.bench(&json!({})).send_json(open());
    let mut bench = world.delivered(bench).after_ms(30_000);
    assert_eq!(world.wire.take().len(), 2);
    assert_eq!(world.log.kinds(), ["requested", "sent", "delivered", "sent", "failed"]);
    assert!(world.log.seen()[4].1["reason"].as_str().unwrap().contains("after 2 attempts"));
    assert_eq!(outcome(&bench.take()), (1, "failed".into()));
}

#[test]
fn after_a_crash_a_command_goes_on_where_it_was_and_its_message_is_known() {
    let world = world();
    let bench = world.bench(&json!({})).send_json(open());
    let bench = world.delivered(bench).after_ms(4_000).crashed();
    assert_eq!(world.wire.take().len(), 1, "not sent again before its time");
    let bench = bench.after_ms(7_000);
    assert_eq!(world.wire.take().len(), 1, "the timeout was kept: sent again after 10 s in all");
    let mut bench = world.says(bench, "open");
    let sent = bench.take();
    assert_eq!(outcome(&sent), (0, "confirmed".into()));
    assert_eq!((sent[0].1.topic(), sent[0].1.payload()), (Some("v1"), &Value::string("open")));
}

#[test]
fn a_crash_does_not_lengthen_a_commands_life() {
    let world = world();
    world.wire.connected.store(false, Ordering::Relaxed);
    let bench = world.bench(&json!({})).send_json(open()).after_ms(50_000).crashed();
    let mut bench = bench.after_ms(11_000);
    assert_eq!(world.log.kinds(), ["requested", "expired"]);
    assert_eq!(outcome(&bench.take()), (1, "expired".into()));
}

#[test]
fn nothing_is_sent_after_its_time_to_live() {
    let world = world();
    world.wire.connected.store(false, Ordering::Relaxed);
    let bench = world.bench(&json!({})).send_json(open()).after_ms(30_000);
    assert_eq!(bench.seen().statuses.last().unwrap().text, "waits for the broker · 1 waiting");
    let bench = bench.after_ms(31_000);
    world.wire.connected.store(true, Ordering::Relaxed);
    let mut bench = bench.after_ms(60_000);
    assert!(world.wire.take().is_empty());
    assert_eq!(world.log.kinds(), ["requested", "expired"]);
    assert_eq!(outcome(&bench.take()), (1, "expired".into()));
}

#[test]
fn a_command_waits_for_the_broker_and_goes_out_once_it_is_there() {
    let world = world();
    world.wire.connected.store(false, Ordering::Relaxed);
    let bench = world.bench(&json!({})).send_json(open()).after_ms(20_000);
    assert!(world.wire.take().is_empty());
    world.wire.connected.store(true, Ordering::Relaxed);
    let _ = bench.after_ms(1_000);
    assert_eq!(world.wire.posts.lock().unwrap()[0].expiry_s, Some(40));
}

#[test]
fn a_restart_goes_on_where_the_command_stood() {
    let world = world();
    let bench = world.bench(&json!({})).send_json(open());
    drop(world.delivered(bench));
    world.wire.take();
    // The answer comes after the restart: it is recognised, and nothing is sent again.
    let bench = world.bench(&json!({})).after_ms(2_000);
    let mut bench = world.says(bench, "open");
    assert!(world.wire.take().is_empty());
    assert_eq!(world.log.kinds(), ["requested", "sent", "delivered", "confirmed"]);
    assert_eq!(outcome(&bench.take()), (0, "confirmed".into()));
    drop(bench);
    // What has an outcome is left alone.
    let mut bench = world.bench(&json!({})).after_ms(600_000);
    assert!(world.wire.take().is_empty() && bench.take().is_empty());
}

#[test]
fn a_restart_after_the_time_to_live_sends_nothing() {
    let world = world();
    world.wire.connected.store(false, Ordering::Relaxed);
    drop(world.bench(&json!({"ttl": 1})).send_json(open()));
    world.wire.connected.store(true, Ordering::Relaxed);
    // The bench's clock begins anew; the command is made to look older instead.
    let request = world.log.events()[0].data_json().unwrap();
    assert_eq!(request["expiresAt"].as_i64().unwrap(), 1_700_000_001_000);
    world.wire.connected.store(false, Ordering::Relaxed);
    let bench = world.bench(&json!({"ttl": 1})).after_ms(2_000);
    world.wire.connected.store(true, Ordering::Relaxed);
    let _ = bench.after_ms(60_000);
    assert!(world.wire.take().is_empty());
    assert_eq!(world.log.kinds(), ["requested", "expired"]);
}

#[test]
fn the_same_cause_gives_one_command_and_a_replay_none() {
    let world = world();
    let caused = |replayed: bool| {
        let mut message = Message::with_payload(1, "open");
        message.set("topic", "v1");
        message.set_provenance(Arc::new(Provenance { causes: vec!["e1".into()], ..Provenance::default() }));
        message.set_flags(Flags { replayed, ..Flags::default() });
        message
    };
    let bench = world.bench(&json!({})).send_message(caused(true));
    assert!(world.log.kinds().is_empty());
    let _ = bench.send_message(caused(false)).send_message(caused(false));
    assert_eq!(world.log.kinds(), ["requested", "sent"]);
    assert_eq!(world.wire.take().len(), 1);
}

#[test]
fn what_confirms_is_the_answer_or_the_commands_id_but_never_a_retained_message() {
    let world = world();
    let config = json!({"payload": "{\"valve\":\"{{payload}}\",\"command\":\"{{command}}\"}", "confirmPayload": "{\"valve\":\"{{payload}}\"}"});
    let bench = world.bench(&config).send_json(open());
    let bench = world.delivered(bench);
    let sent: Json = serde_json::from_str(&world.wire.take()[0].1).unwrap();
    let id = sent["command"].as_str().unwrap().to_owned();
    let retained = Heard { topic: "gh/v1".into(), payload: r#"{"valve":"open"}"#.into(), retain: true, command: None };
    world.wire.say_as(retained);
    let bench = world.says(world.says(nudge(bench), r#"{"valve":"closed"}"#), "nonsense");
    assert_eq!(world.log.kinds().last().unwrap(), "delivered");
    let bench = world.says(bench, r#"{"valve":"open","flow":12}"#);
    assert_eq!(world.log.kinds().last().unwrap(), "confirmed");
    let bench = world.delivered(bench.send_json(open()));
    let sent: Json = serde_json::from_str(&world.wire.take()[0].1).unwrap();
    let second = sent["command"].as_str().unwrap().to_owned();
    assert_ne!(id, second);
    let _ = world.says(bench, &json!({"ok": true, "command": second}).to_string());
    assert_eq!(world.log.kinds().iter().filter(|kind| *kind == "confirmed").count(), 2);
}

#[test]
fn without_an_answer_topic_the_brokers_word_is_the_last_one() {
    let world = world();
    let bench = world.bench(&json!({"confirmTopic": ""})).send_json(open());
    let mut bench = world.delivered(bench);
    assert_eq!(world.log.kinds(), ["requested", "sent", "delivered"]);
    assert_eq!(outcome(&bench.take()), (0, "delivered".into()));
    drop(bench);
    let _ = world.bench(&json!({"confirmTopic": ""})).after_ms(60_000);
    assert_eq!(world.log.kinds().len(), 3);
}

#[test]
fn a_refusal_of_the_broker_is_final_and_a_lost_connection_is_not() {
    let world = world();
    let bench = world.bench(&json!({})).send_json(open());
    world.wire.finish(Posted::Dropped);
    let bench = nudge(bench).after_ms(1_500);
    assert_eq!(world.wire.take().len(), 2);
    let bench = bench.send_json(open());
    world.wire.finish(Posted::Refused("not authorized".into()));
    let bench = nudge(bench);
    let failed = world.log.seen().last().unwrap().1.clone();
    assert_eq!(failed["reason"], "the broker refused it: not authorized");
    drop(bench);
}

#[test]
fn a_command_that_a_person_gave_to_the_thing_is_carried_out_here() {
    let world = world();
    let data = json!({"thing": "valve-1", "property": "valve", "value": "open", "ttl": 60});
    let event = NewEvent { time: Some(1_700_000_000_000), ..NewEvent::json("tidewire.command.requested", &data) };
    let other = NewEvent::json("tidewire.command.requested", &json!({"thing": "lamp", "value": "on"}));
    let stream = |name: &str| StreamName::new(name).unwrap();
    world.log.put(AppendRequest::one(stream("command-c1"), event.clone()));
    world.log.put(AppendRequest::one(stream("command-c2"), other));
    let config = json!({"thing": "valve-1", "property": "valve", "topic": "gh/v1/set"});
    let bench = world.bench(&config).after_ms(100);
    assert_eq!(world.wire.take(), [("gh/v1/set".to_owned(), "open".to_owned())]);
    world.log.put(AppendRequest::one(stream("command-c3"), event));
    let fresh = world.log.events().last().unwrap().clone();
    let bench = bench.signal(ActuatorOut::followed_signal(vec![fresh]));
    assert_eq!(world.wire.take().len(), 1);
    let _ = world.says(bench, "open");
    let confirmed: Vec<String> = world
        .log
        .events()
        .iter()
        .filter(|event| event.event_type.ends_with(".confirmed"))
        .map(|event| event.stream.to_string())
        .collect();
    assert_eq!(confirmed, ["command-c1", "command-c3"]);
}

#[test]
fn bad_settings_and_bad_topics_are_said_where_they_are() {
    for (config, path) in [
        (json!({"topic": "a"}), "/broker"),
        (json!({"broker": "b"}), "/topic"),
        (json!({"broker": "b", "topic": "a/#"}), "/topic"),
        (json!({"broker": "b", "topic": "a", "confirmTopic": "a/+"}), "/confirmTopic"),
        (json!({"broker": "b", "topic": "a", "ttl": 0}), "/ttl"),
        (json!({"broker": "b", "topic": "a", "payload": "{", "payloadType": "json"}), "/payload"),
    ] {
        let problem = Bench::try_of::<ActuatorOut>(config).err().unwrap();
        assert!(problem.contains(path), "{problem}");
    }
    let world = world();
    let bench = world.bench(&json!({})).send_json(json!({"topic": "#", "payload": 1}));
    assert!(bench.seen().errors[0].text.contains("gh/#/set"));
    assert!(world.log.kinds().is_empty());
}
