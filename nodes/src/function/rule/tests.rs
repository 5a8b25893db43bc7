#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use std::sync::Arc;

use super::*;
use tidewire_model::message::{Flags, Provenance};
use tidewire_node_api::bench::Bench;

/// When the bench's clock begins.
const BEGAN: i64 = 1_700_000_000_000;

fn over_30() -> Json {
    json!({"all": [{"property": "payload.t", "op": "gt", "value": 30}]})
}

fn reading(bench: Bench, topic: &str, t: f64) -> Bench {
    bench.send_json(json!({"topic": topic, "payload": {"t": t}}))
}

/// Ports that messages left on since the last look.
fn ports(bench: &mut Bench) -> Vec<usize> {
    bench.take().into_iter().map(|(port, _)| port).collect()
}

fn run(config: Json, readings: &[f64]) -> Vec<Vec<usize>> {
    let mut bench = Bench::of::<Rule>(config);
    let mut all = Vec::new();
    for t in readings {
        bench = reading(bench, "a", *t);
        all.push(ports(&mut bench));
    }
    all
}

#[test]
fn an_alarm_is_told_once_and_its_end_once() {
    let config = json!({"conditions": over_30()});
    assert_eq!(
        run(config, &[25.0, 31.0, 32.0, 30.0, 29.0, 31.0]),
        [vec![], vec![FIRED], vec![], vec![CLEARED], vec![], vec![FIRED]]
    );
}

#[test]
fn what_leaves_is_the_message_with_the_alarm_in_it() {
    let bench = reading(Bench::of::<Rule>(json!({"conditions": over_30()})), "g1", 31.5);
    let bench = bench.emits_messages([(
        0,
        json!({"topic": "g1", "payload": {"t": 31.5},
        "rule": {"key": "g1", "state": "firing", "since": 1_700_000_000_000_i64, "value": 31.5, "duration": 0}}),
    )]);
    let _ = reading(bench.after_ms(2500), "g1", 20.0).emits_messages([(
        1,
        json!({"topic": "g1", "payload": {"t": 20},
        "rule": {"key": "g1", "state": "cleared", "since": 1_700_000_000_000_i64, "value": 20, "duration": 2.5}}),
    )]);
}

#[test]
fn each_key_has_an_alarm_of_its_own() {
    let mut bench = Bench::of::<Rule>(json!({"conditions": over_30()}));
    bench = reading(reading(bench, "a", 31.0), "b", 31.0);
    assert_eq!(ports(&mut bench), [FIRED, FIRED]);
    let texts: Vec<String> = bench.seen().statuses.into_iter().map(|status| status.text).collect();
    assert_eq!(texts, ["normal", "firing", "2 firing"]);
    let mut bench = Bench::of::<Rule>(json!({"conditions": over_30(), "key": ""}));
    bench = reading(reading(bench, "a", 31.0), "b", 31.0);
    assert_eq!(ports(&mut bench), [FIRED], "one alarm for all");
}

#[test]
fn the_condition_must_hold_for_the_whole_time() {
    let bench = Bench::of::<Rule>(json!({"conditions": over_30(), "for": "10"}));
    let mut bench = reading(reading(bench, "a", 31.0).after_ms(9_000), "a", 29.0);
    assert_eq!(bench.seen().statuses.last().unwrap().text, "normal");
    bench = reading(bench, "a", 33.0).after_ms(2_000);
    bench = reading(bench, "a", 34.0).after_ms(7_999);
    assert!(ports(&mut bench).is_empty());
    bench = bench.after_ms(1);
    let (port, message) = bench.take().remove(0);
    assert_eq!((port, message.payload().to_json().as_str()), (FIRED, r#"{"t":34}"#), "with the latest reading");
    assert_eq!(message.get("rule").unwrap().get("duration"), Some(&Value::Int(10)));
    assert!(ports(&mut bench.after_ms(60_000)).is_empty(), "once");
}

#[test]
fn hysteresis_keeps_a_wavering_value_quiet() {
    let clear = json!({"property": "payload.t", "op": "lt", "value": 25});
    let config = json!({"conditions": over_30(), "clear": clear});
    assert_eq!(
        run(config, &[31.0, 29.0, 31.0, 26.0, 24.9, 29.0, 30.1]),
        [vec![FIRED], vec![], vec![], vec![], vec![CLEARED], vec![], vec![FIRED]]
    );
}

#[test]
fn a_cooldown_spaces_alarms_out() {
    let mut bench = Bench::of::<Rule>(json!({"conditions": over_30(), "cooldown": 60}));
    for _ in 0..5 {
        bench = reading(reading(bench, "a", 31.0), "a", 29.0).after_ms(1_000);
    }
    assert_eq!(ports(&mut bench), [FIRED, CLEARED], "flapping makes one alarm");
    bench = reading(bench, "a", 35.0).after_ms(54_000);
    assert!(ports(&mut bench).is_empty());
    bench = bench.after_ms(1_000);
    assert_eq!(ports(&mut bench), [FIRED], "it still holds when the cooldown is over");
}

#[test]
fn a_redeploy_keeps_alarms_and_what_is_pending() {
    let config = json!({"conditions": over_30(), "for": 10});
    let bench = reading(Bench::of::<Rule>(config.clone()), "firing", 31.0).after_ms(10_000);
    let state = reading(bench, "pending", 32.0).after_ms(4_000).stop(StopReason::Replaced);
    // The bench's clock starts anew, 14 s earlier: the pending alarm is due 20 s from there.
    let mut bench = Bench::of::<Rule>(config).started_with(state.clone());
    assert_eq!(bench.seen().statuses[0].text, "1 firing, 1 pending");
    bench = reading(bench, "firing", 33.0);
    assert!(ports(&mut bench).is_empty(), "it has been told already");
    bench = bench.after_ms(20_000);
    assert_eq!(ports(&mut bench), [FIRED]);
    bench = reading(bench, "firing", 10.0);
    assert_eq!(ports(&mut bench), [CLEARED]);

    let other = json!({"conditions": {"property": "payload.t", "op": "gt", "value": 50}, "for": 10});
    let bench = Bench::of::<Rule>(other).started_with(state);
    assert_eq!(bench.seen().statuses[0].text, "firing", "what is pending is judged by the new condition");
}

fn caused(topic: &str, t: f64, event: &str) -> Message {
    let body = Value::from(json!({"topic": topic, "payload": {"t": t}}));
    let mut message = Message::new(77, body.as_object().unwrap().clone());
    message.set_flags(Flags { replayed: true, ..Flags::default() });
    message.set_provenance(Arc::new(Provenance { causes: vec![event.to_owned()], ..Provenance::default() }));
    message
}

#[test]
fn a_crash_does_not_start_the_time_anew_and_forgets_nothing_about_the_message() {
    let config = json!({"conditions": over_30(), "for": 60});
    let bench = Bench::of::<Rule>(config).send_message(caused("a", 31.0, "e1")).after_ms(40_000).crashed();
    assert_eq!(bench.seen().statuses.last().unwrap().text, "pending");
    let mut bench = bench.after_ms(19_999);
    assert!(ports(&mut bench).is_empty());
    bench = bench.after_ms(1);
    let (port, message) = bench.take().remove(0);
    assert_eq!(port, FIRED);
    let rule = message.get("rule").unwrap();
    assert_eq!((rule.get("since"), rule.get("duration")), (Some(&Value::Int(BEGAN)), Some(&Value::Int(60))));
    assert!(message.flags().replayed);
    assert_eq!(message.provenance().unwrap().causes, ["e1"]);
}

#[test]
fn alarms_and_cooldowns_survive_a_crash() {
    let bench = reading(Bench::of::<Rule>(json!({"conditions": over_30(), "cooldown": 60})), "a", 31.0).crashed();
    assert_eq!(bench.seen().statuses.last().unwrap().text, "firing");
    let mut bench = reading(bench, "a", 32.0);
    assert_eq!(ports(&mut bench), [FIRED], "told before the crash, and not again");
    bench = reading(bench, "a", 20.0).crashed();
    bench = reading(bench, "a", 33.0);
    assert_eq!(ports(&mut bench), [CLEARED], "the cooldown lasts");
    bench = bench.crashed().after_ms(60_000);
    assert_eq!(ports(&mut bench), [FIRED], "and then it fires");
    bench = reading(bench, "a", 20.0).after_ms(60_000).crashed();
    assert_eq!(bench.seen().statuses.last().unwrap().text, "normal");
}

#[test]
fn what_nobody_had_dealt_with_at_a_crash_is_told_again() {
    let config = json!({"conditions": over_30(), "for": 10});
    let bench = reading(Bench::of::<Rule>(config).with_slow_receiver(), "a", 31.0).after_ms(10_000);
    let mut bench = bench.crashed();
    assert_eq!(ports(&mut bench), [FIRED]);
    bench = bench.after_ms(1_000);
    assert_eq!(ports(&mut bench), [FIRED], "overdue, so it fires at once");
    bench = bench.delivered().signal(Signal::Timer(u64::MAX)).crashed().after_ms(60_000);
    assert!(ports(&mut bench).is_empty(), "told for good");
    bench = reading(bench, "a", 20.0).crashed();
    assert_eq!(ports(&mut bench), [CLEARED]);
    bench = reading(bench, "a", 20.0);
    assert_eq!(ports(&mut bench), [CLEARED], "the message comes again too");
}

#[test]
fn a_deploy_while_an_alarm_is_told_neither_repeats_nor_forgets_it() {
    let bench = reading(Bench::of::<Rule>(json!({"conditions": over_30()})).with_slow_receiver(), "a", 31.0);
    let mut bench = reading(bench.replaced(), "a", 32.0);
    assert_eq!(ports(&mut bench), [FIRED]);
    bench = reading(bench.crashed(), "a", 20.0);
    assert_eq!(ports(&mut bench), [CLEARED]);
}

#[test]
fn conditions_join_and_missing_properties_say_nothing() {
    let conditions = json!({"any": [
        {"property": "payload.t", "op": "btwn", "value": 30, "value2": 40},
        {"all": [{"property": "payload.door", "op": "eq", "value": "open"}, {"property": "payload.night", "op": "true"}]},
    ]});
    let send = |payload: Json| {
        let mut bench = Bench::of::<Rule>(json!({"conditions": conditions})).send(Value::from(payload));
        !ports(&mut bench).is_empty()
    };
    assert!(send(json!({"t": 35})));
    assert!(send(json!({"t": 10, "door": "open", "night": true})));
    assert!(!send(json!({"t": 10, "door": "open", "night": false})));
    let mut bench = reading(Bench::of::<Rule>(json!({"conditions": over_30()})), "a", 31.0);
    bench = bench.send_json(json!({"topic": "a", "payload": {"humidity": 50}}));
    assert_eq!(ports(&mut bench), [FIRED], "a reading of something else does not clear the alarm");
}

#[test]
fn an_expression_stands_for_conditions() {
    let config = json!({"expression": "msg.payload.t - msg.payload.dew < 3.0"});
    let bench = Bench::of::<Rule>(config).send(Value::from(json!({"t": 20.0, "dew": 18.5})));
    let mut bench = bench.send(Value::from(json!({"t": 20.0, "dew": 10.5})));
    assert_eq!(ports(&mut bench), [FIRED, CLEARED]);
    let bench = bench.send(Value::from(json!({"t": "x"})));
    assert!(bench.seen().errors[0].message.is_some());
}

#[test]
fn an_expression_cannot_loop() {
    for text in ["{ loop {} }", "while true {}", "{ let x = 0; while true { x += 1; } x > 0 }"] {
        let text = Bench::try_of::<Rule>(json!({"expression": text})).err().unwrap();
        assert!(text.starts_with("/expression:"), "{text}");
    }
}

#[test]
fn mistakes_are_told_at_their_place() {
    let tree = json!({"all": [{"property": "a b", "op": "gt"}, {"op": "over", "value": 1}, {"any": []}]});
    let text = Bench::try_of::<Rule>(json!({"conditions": tree, "key": "{{x"})).err().unwrap();
    for part in ["/conditions/all/0/property:", "/conditions/all/1/op:", "/conditions/all/2/any:", "/key:"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    let text = Bench::try_of::<Rule>(json!({"expression": "msg.payload >"})).err().unwrap();
    assert!(text.starts_with("/expression:"), "{text}");
    let text = Bench::try_of::<Rule>(json!({})).err().unwrap();
    assert!(text.contains("give a condition"), "{text}");
}
