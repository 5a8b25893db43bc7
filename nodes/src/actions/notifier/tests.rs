//! The notifier on virtual time: what it sends, what it records, and what a restart changes.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::sync::Arc;

use serde_json::{Value as Json, json};
use tidewire_model::message::{Flags, Provenance};
use tidewire_model::{Message, Value};
use tidewire_node_api::bench::Bench;
use tidewire_node_api::handles::HandleError;

use super::Notifier;
use crate::actions::testing::{TestHttp, TestLog, services};

const OK: &str = r#"{"id":"n1","time":1,"event":"message","topic":"farm"}"#;
const PUSHED: &str = r#"{"active":true,"iden":"p1","type":"note"}"#;

struct World {
    log: Arc<TestLog>,
    http: Arc<TestHttp>,
}

fn world() -> World {
    World { log: Arc::default(), http: Arc::default() }
}

impl World {
    fn bench(&self, config: Json) -> Bench {
        Bench::of::<Notifier>(config).with_services(services(&self.log, &self.http))
    }

    fn ntfy(&self) -> Bench {
        self.bench(json!({"channel": "ntfy", "topic": "farm", "title": "Dry", "message": "Soil {{payload}} %"}))
    }

    fn sent(&self) -> usize {
        self.http.requests.lock().unwrap().len()
    }
}

fn caused(cause: &str, payload: i64) -> Message {
    let mut message = Message::with_payload(1, payload);
    message.set_provenance(Arc::new(Provenance { causes: vec![cause.into()], ..Provenance::default() }));
    message
}

#[test]
fn a_notification_is_on_disk_before_it_is_sent_and_its_outcome_after() {
    let world = world();
    world.http.answer(200, OK);
    let mut bench = world.ntfy().send(18);
    assert_eq!(world.log.kinds(), ["requested", "sent"]);
    let seen = world.log.seen();
    assert_eq!(seen[0].1["message"], "Soil 18 %");
    assert_eq!(seen[0].1["to"], "https://ntfy.sh/");
    assert_eq!((&seen[1].1["providerId"], &seen[1].1["attempt"]), (&json!("n1"), &json!(1)));
    let sent = bench.take();
    assert_eq!((sent[0].0, sent[0].1.payload()), (0, &Value::Int(18)));
    let told = sent[0].1.get("notification").unwrap();
    assert_eq!(told.get("providerId").and_then(Value::as_str), Some("n1"));
    let events = world.log.events();
    assert_eq!(events[1].causation_id.as_ref(), Some(&events[0].id));
    assert_eq!(events[0].stream.as_str(), format!("notification-{}", seen[0].1["id"].as_str().unwrap()));
}

#[test]
fn what_is_not_on_disk_is_not_sent() {
    let world = world();
    *world.log.full.lock().unwrap() = true;
    let mut bench = world.ntfy().send(18);
    assert_eq!(world.sent(), 0);
    assert_eq!(bench.take_retried().len(), 1, "it comes again");
    assert!(bench.seen().logs[0].1.contains("full"));
}

#[test]
fn complete_nodes_hear_of_a_notification_once_it_is_on_disk() {
    let world = world();
    world.http.answer(200, OK);
    *world.log.full.lock().unwrap() = true;
    let mut bench = world.ntfy().with_completions().send(18);
    assert!(bench.seen().completed.is_empty(), "it is not on disk yet");
    *world.log.full.lock().unwrap() = false;
    let again = bench.take_retried().remove(0).message;
    assert_eq!(bench.send_message(again).seen().completed.len(), 1);
}

#[test]
fn a_notification_that_could_not_be_recorded_does_not_hold_itself_back() {
    let world = world();
    world.http.answer(200, OK);
    *world.log.full.lock().unwrap() = true;
    let mut bench = world.bench(json!({"topic": "farm", "key": "dry"})).send(18);
    *world.log.full.lock().unwrap() = false;
    let again = bench.take_retried().remove(0).message;
    let _ = bench.send_message(again);
    assert_eq!(world.sent(), 1);
}

#[test]
fn a_channel_that_is_down_is_tried_again_with_growing_pauses() {
    let world = world();
    let mut bench = world.ntfy().send(18);
    assert_eq!(world.log.kinds(), ["requested", "deferred"]);
    let mut waits = Vec::new();
    for attempt in 2..6 {
        let seen = world.log.seen();
        let before = world.sent();
        let mut waited = 0;
        while world.sent() == before {
            bench = bench.after_ms(500);
            waited += 500;
        }
        waits.push(waited);
        assert_eq!(world.sent(), attempt, "after {}", seen.last().unwrap().1);
    }
    assert!(waits.windows(2).all(|pair| pair[0] <= pair[1] + 500) && waits[3] >= 4 * waits[0] / 2, "{waits:?}");
    world.http.answer(200, OK);
    let _ = bench.after_ms(900_000);
    assert_eq!(world.log.kinds().last().unwrap(), "sent");
}

#[test]
fn what_the_vendor_refuses_is_not_tried_again_and_the_next_goes_out() {
    let world = world();
    world.http.answer(400, r#"{"code":40009,"http":400,"error":"invalid request: topic invalid"}"#);
    world.http.answer(200, OK);
    let mut bench = world.ntfy().send(1).send(2).after_ms(3_600_000);
    assert_eq!(world.log.kinds(), ["requested", "failed", "requested", "sent"]);
    assert_eq!(world.log.seen()[1].1["reason"], "invalid request: topic invalid (HTTP 400)");
    assert_eq!(bench.take().iter().map(|(port, _)| *port).collect::<Vec<_>>(), [1, 0]);
    assert!(bench.seen().errors[0].text.contains("topic invalid"));
}

#[test]
fn without_a_token_it_shows_what_it_would_send_and_sends_it_once_there_is_one() {
    let world = world();
    let config = json!({"channel": "pushbullet", "title": "Dry", "message": "Soil {{payload}} %"});
    let bench = world.bench(config.clone()).send(18).after_ms(60_000);
    assert_eq!(world.log.kinds(), ["requested", "deferred"]);
    assert_eq!(world.log.seen()[1].1["reason"], "no token yet");
    assert_eq!(bench.seen().statuses.last().unwrap().text, "needs token · 1 waiting");
    assert_eq!(world.sent(), 0);
    drop(bench);
    world.http.answer(200, PUSHED);
    let bench = world.bench(config).with_credential("token", " o.CANARY \n").started_with(None).after_ms(30_000);
    assert_eq!(world.log.kinds(), ["requested", "deferred", "sent"]);
    assert!(bench.seen().statuses.last().unwrap().text.contains("1 of 500 this month"));
    assert_eq!(world.http.bodies()[0].matches("Soil 18 %").count(), 1);
}

#[test]
fn a_refused_token_stops_the_channel_until_another_one_is_there() {
    let world = world();
    let body = r#"{"error":{"code":"invalid_access_token","message":"Access token is missing or invalid."}}"#;
    world.http.answer(401, body);
    let config = json!({"channel": "pushbullet"});
    let bench = world.bench(config.clone()).with_credential("token", "o.old").send(1).send(2).after_ms(3_600_000);
    assert_eq!(world.sent(), 1);
    assert!(bench.seen().statuses.last().unwrap().text.contains("Access token is missing or invalid"));
    drop(bench);
    world.http.answer(200, PUSHED);
    world.http.answer(200, PUSHED);
    let _ = world.bench(config).with_credential("token", "o.new").started_with(None).after_ms(30_000);
    assert_eq!(world.log.kinds().iter().filter(|kind| *kind == "sent").count(), 2);
}

#[test]
fn the_months_quota_waits_for_the_next_month_and_shows_the_vendors_text() {
    let world = world();
    world.http.answer(
        400,
        r#"{"error":{"code":"pushbullet_pro_required","message":"Pushbullet Pro is required to make this call."}}"#,
    );
    let config = json!({"channel": "pushbullet", "ttl": 5_000_000});
    let bench = world.bench(config).with_credential("token", "o.t").send(1).after_ms(86_400_000);
    assert_eq!(world.sent(), 1);
    let text = bench.seen().statuses.last().unwrap().text.clone();
    assert!(text.contains("of 500 this month: Pushbullet Pro is required"), "{text}");
    world.http.answer(200, PUSHED);
    // The bench's clock starts on 14 November 2023.
    let _ = bench.after_ms(17 * 86_400_000);
    assert_eq!(world.log.kinds(), ["requested", "deferred", "sent"]);
}

#[test]
fn ntfys_allowance_is_kept_without_being_told() {
    let world = world();
    let mut bench = world.ntfy();
    for number in 0..70 {
        world.http.answer(200, OK);
        bench = bench.send(number);
    }
    assert_eq!(world.sent(), 60);
    bench = bench.after_ms(5_000);
    assert_eq!(world.sent(), 61);
    let _ = bench.after_ms(45_000);
    assert_eq!(world.sent(), 70);
}

#[test]
fn a_restart_goes_on_with_what_has_no_outcome_and_only_with_that() {
    let world = world();
    world.http.answer(200, OK);
    drop(world.ntfy().send(1).send(2));
    assert_eq!(world.log.kinds(), ["requested", "sent", "requested", "deferred"]);
    world.http.answer(200, OK);
    let mut bench = world.ntfy().started_with(None).after_ms(60_000);
    assert_eq!(world.log.kinds(), ["requested", "sent", "requested", "deferred", "sent"]);
    assert_eq!(world.log.seen()[4].1["attempt"], 2);
    assert!(world.http.bodies()[2].contains("Soil 2 %"));
    assert_eq!(bench.take()[0].1.payload().get("providerId").and_then(Value::as_str), Some("n1"));
}

#[test]
fn the_same_cause_notifies_once_and_a_replay_never() {
    let world = world();
    world.http.answer(200, OK);
    world.http.answer(200, OK);
    let mut replayed = caused("e2", 18);
    replayed.set_flags(Flags { replayed: true, ..Flags::default() });
    let bench = world.ntfy().send_message(caused("e1", 18)).send_message(caused("e1", 18)).send_message(replayed);
    assert_eq!(world.sent(), 1);
    drop(bench);
    let bench = world.ntfy().started_with(None).send_message(caused("e1", 18));
    assert_eq!(world.sent(), 1);
    let _ = bench.send_message(caused("e1", 19));
    assert_eq!(world.sent(), 2);
}

#[test]
fn a_key_holds_repetitions_back_for_a_while() {
    let world = world();
    for _ in 0..3 {
        world.http.answer(200, OK);
    }
    let bench = world.bench(json!({"topic": "farm", "key": "{{topic}}", "keyWindow": 60}));
    let message = |topic: &str| json!({"topic": topic, "payload": 1});
    let bench = bench.send_json(message("a")).send_json(message("a")).send_json(message("b"));
    assert_eq!(world.sent(), 2);
    let _ = bench.after_ms(61_000).send_json(message("a"));
    assert_eq!(world.sent(), 3);
}

#[test]
fn a_key_holds_repetitions_back_over_a_restart() {
    let world = world();
    let config = json!({"key": "dry"});
    drop(world.bench(config.clone()).send(1));
    let _ = world.bench(config).started_with(None).send(2);
    assert_eq!(world.log.kinds(), ["requested", "deferred"]);
}

#[test]
fn what_was_sent_holds_repetitions_back_over_a_restart_too() {
    let world = world();
    for _ in 0..2 {
        world.http.answer(200, OK);
    }
    let config = json!({"topic": "farm", "key": "dry", "keyWindow": 60});
    let bench = world.bench(config).send(1).crashed().send(2);
    assert_eq!(world.sent(), 1);
    let _ = bench.after_ms(61_000).send(3);
    assert_eq!(world.sent(), 2);
}

#[test]
fn the_message_that_asked_is_still_known_after_a_crash() {
    let world = world();
    let bench = world.ntfy().send_json(json!({"topic": "bed 7", "payload": 18}));
    world.http.answer(200, OK);
    let mut bench = bench.crashed().after_ms(60_000);
    let (port, told) = bench.take().remove(0);
    assert_eq!((port, told.topic(), told.payload()), (0, Some("bed 7"), &Value::Int(18)));
    assert_eq!(told.get("notification").unwrap().get("attempt"), Some(&Value::Int(2)));
}

#[test]
fn what_is_not_sent_in_time_is_given_up() {
    let world = world();
    let config = json!({"topic": "farm", "ttl": 60});
    let mut bench = world.bench(config).send(1).after_ms(3_600_000);
    assert_eq!(world.log.kinds().last().unwrap(), "failed");
    let seen = world.log.seen();
    assert_eq!(seen.last().unwrap().1["class"], "expired");
    assert!(seen.last().unwrap().1["reason"].as_str().unwrap().contains("nobody answers"));
    assert_eq!(bench.take().last().unwrap().0, 1);
}

#[test]
fn no_secret_reaches_events_errors_statuses_or_messages() {
    let world = world();
    world.http.answers.lock().unwrap().push_back(Err(HandleError::retryable("https://h/CANARY-T broke")));
    world.http.answer(404, "no hook CANARY-T here");
    let config =
        json!({"channel": "webhook", "url": "https://user:CANARY-U@h/{token}/CANARY-P?sig=CANARY-Q", "title": "x"});
    let mut bench = world.bench(config).with_credential("token", "CANARY-T").send(1).after_ms(60_000);
    assert_eq!(world.log.kinds(), ["requested", "deferred", "failed"]);
    assert_eq!(world.http.requests.lock().unwrap()[0].url, "https://user:CANARY-U@h/CANARY-T/CANARY-P?sig=CANARY-Q");
    let sent = format!("{:?}", bench.take());
    let all = format!("{:?} {:?} {sent}", world.log.seen(), bench.seen());
    assert!(!all.contains("CANARY"), "{all}");
}

#[test]
fn bad_settings_are_problems_at_their_place() {
    for (config, path) in [
        (json!({"title": "{{#open}}"}), "/title"),
        (json!({"priority": 9}), "/priority"),
        (json!({"baseUrl": "ntfy.sh"}), "/baseUrl"),
        (json!({"channel": "pigeon"}), "/channel"),
    ] {
        let problem = Bench::try_of::<Notifier>(config).err().unwrap();
        assert!(problem.contains(path), "{problem}");
    }
}
