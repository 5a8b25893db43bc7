#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use super::*;
use serde_json::json;
use tidewire_model::Value;
use tidewire_node_api::bench::Bench;

fn press(bench: Bench) -> Bench {
    bench.signal(Signal::Trigger(Value::Undefined))
}

#[test]
fn the_button_sends_the_time_and_the_topic() {
    let _ = press(Bench::of::<Inject>(json!({"topic": "start"})))
        .emits_messages([(0, json!({"payload": 1_700_000_000_000_i64, "topic": "start"}))]);
}

#[test]
fn properties_are_set_in_order_by_path() {
    let props = json!([
        {"p": "payload", "v": "{\"a\":1}", "vt": "json"},
        {"p": "payload.list[0]", "v": "5", "vt": "num"},
        {"p": "copy", "v": "payload.a", "vt": "msg"},
        {"p": "on", "v": "true", "vt": "bool"},
    ]);
    let _ = press(Bench::of::<Inject>(json!({"props": props})))
        .emits_messages([(0, json!({"payload": {"a": 1, "list": [5]}, "copy": 1, "on": true}))]);
}

#[test]
fn flows_from_before_the_list_keep_their_payload() {
    let config = json!({"props": null, "payload": "true", "payloadType": "bool", "topic": "t"});
    let _ = press(Bench::of::<Inject>(config)).emits_messages([(0, json!({"payload": true, "topic": "t"}))]);
}

#[test]
fn once_comes_before_the_interval_begins() {
    let bench = Bench::of::<Inject>(json!({"once": true, "onceDelay": "0.5", "repeat": "2", "payloadType": "num",
        "payload": "1"}));
    let bench = bench.after_ms(499).emits::<i64>([]).after_ms(1).emits([1]).after_ms(1999).emits::<i64>([]);
    let _ = bench.after_ms(1).emits([1]).after_ms(6000).emits([1, 1, 1]);
}

#[test]
fn a_schedule_has_five_fields_or_six() {
    let config = |crontab: &str| json!({"crontab": crontab, "payloadType": "num", "payload": "1"});
    // The bench's clock starts at 2023-11-14T22:13:20Z.
    let _ = Bench::of::<Inject>(config("*/5 * * * *")).after_ms(99_999).emits::<i64>([]).after_ms(1).emits([1]);
    let _ = Bench::of::<Inject>(config("*/10 * * * * *")).after_ms(30_000).emits([1, 1, 1]);
    let text = Bench::try_of::<Inject>(config("61 * * * *")).err().unwrap();
    assert!(text.starts_with("/crontab: \"61 * * * *\" is no schedule"), "{text}");
}

#[test]
fn properties_may_come_with_the_press() {
    let body = Value::from(json!({"__user_inject_props__": [{"p": "payload", "v": "once", "vt": "str"}]}));
    let bench = Bench::of::<Inject>(json!({})).signal(Signal::Trigger(body));
    let _ = bench.emits_messages([(0, json!({"payload": "once"}))]);
    let message = json!({"keep": 1, "__user_inject_props__": [{"p": "x", "v": "2", "vt": "num"}]});
    let _ = Bench::of::<Inject>(json!({})).send_json(message).emits_messages([(0, json!({"keep": 1, "x": 2}))]);
}

#[test]
fn what_cannot_be_set_is_an_error_and_nothing_is_sent() {
    let props = json!([{"p": "payload", "v": "5", "vt": "num"}, {"p": "payload.x", "v": "1", "vt": "num"}]);
    let mut bench = press(Bench::of::<Inject>(json!({"props": props})));
    assert!(bench.take().is_empty());
    assert_eq!(bench.seen().errors[0].text, "msg.payload.x cannot be set: what it stands in is no object");
}

#[test]
fn every_finding_is_told_at_its_place() {
    let props = json!([{"p": "a b", "v": "x", "vt": "str"}, {"p": "c", "v": "$now()", "vt": "jsonata"}]);
    let text = Bench::try_of::<Inject>(json!({"props": props, "crontab": "soon"})).err().unwrap();
    for part in ["/props/0/p:", "/props/1/v: JSONata", "/crontab: "] {
        assert!(text.contains(part), "{part} in {text}");
    }
}
