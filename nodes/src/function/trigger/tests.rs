//! Behaviour of `trigger`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::sync::{Arc, Mutex};

use serde_json::{Value as Json, json};
use tidewire_model::{Message, Value};
use tidewire_node_api::bench::Bench;
use tidewire_node_api::{AckSink, Outcome, Token};

use super::Trigger;

fn trigger(config: Json) -> Bench {
    Bench::of::<Trigger>(config)
}

fn none() -> [i64; 0] {
    []
}

#[test]
fn one_message_at_once_and_one_later() {
    let bench = trigger(json!({})).send("x").emits(["1"]).send("y").after_ms(249).emits(none());
    let _ = bench.after_ms(1).emits(["0"]).send("z").emits(["1"]);
    let config = json!({"op1": "true", "op1type": "val", "op2": "null", "op2type": "val", "duration": "2", "units": "s",
        "outputs": 2});
    let bench = trigger(config).send_json(json!({"payload": "x", "topic": "t"})).after_ms(2_000);
    let _ = bench
        .emits_messages([(0, json!({"payload": true, "topic": "t"})), (1, json!({"payload": null, "topic": "t"}))]);
}

#[test]
fn values_of_all_types_are_sent() {
    for (value, kind, expected) in [
        (json!("10"), "num", json!(10)),
        (json!(10), "num", json!(10)),
        (json!("a"), "str", json!("a")),
        (json!("false"), "bool", json!(false)),
        (json!("{\"a\":[1]}"), "json", json!({"a": [1]})),
        (json!("topic"), "msg", json!("t<")),
        (json!("x"), "pay", json!("p")),
        (json!("{{topic}} {{{topic}}}"), "str", json!("t&lt; t<")),
        (json!("HOME_TOWN"), "env", json!("Oslo")),
    ] {
        let config = json!({"op1": value, "op1type": kind, "op2": value, "op2type": kind, "duration": 5});
        let bench = trigger(config).with_env("HOME_TOWN", "Oslo").send_json(json!({"payload": "p", "topic": "t<"}));
        let _ = bench.after_ms(5).emits([expected.clone(), expected]);
    }
    let config = json!({"op1type": "date", "op2": "", "op2type": "date", "duration": 7});
    let mut bench = trigger(config).send(1).after_ms(7);
    let times: Vec<i64> = bench.take().iter().map(|(_, message)| message.payload().as_i64().unwrap()).collect();
    assert_eq!(times[1] - times[0], 7);
}

#[test]
fn the_wait_may_be_extended_and_the_latest_message_be_sent() {
    let extends = trigger(json!({"extend": "true", "op2": "off", "op2type": "str", "duration": 100})).send(1);
    let bench = extends.after_ms(60).send(2).after_ms(99).emits(["1"]).after_ms(1).emits(["off"]);
    let _ = bench;
    let latest = json!({"op1type": "nul", "op2type": "payl", "duration": 100});
    let bench = trigger(latest).send(1).after_ms(50).send(2).after_ms(50).emits([2]).send(3).after_ms(100).emits([3]);
    let _ = bench;
    let debounce = json!({"op1type": "nul", "op2type": "payl", "extend": true, "duration": 100});
    let _ = trigger(debounce).send(1).after_ms(99).send(2).after_ms(99).emits(none()).after_ms(1).emits([2]);
}

#[test]
fn a_message_may_say_how_long() {
    let timed = |bench: Bench| bench.send_json(json!({"payload": 1, "delay": "300"})).after_ms(250);
    let _ = timed(trigger(json!({}))).emits(["1", "0"]);
    let _ = timed(trigger(json!({"overrideDelay": true}))).emits(["1"]).after_ms(50).emits(["0"]);
}

#[test]
fn it_blocks_until_it_is_reset() {
    let bench = trigger(json!({"duration": "0", "reset": "true"})).send(1).send(2).send("false").emits(["1"]);
    let bench = bench.send(true).send(3).emits(["1"]).crashed().send(4).emits(none());
    let _ = bench.send_json(json!({"reset": 1})).send(5).emits(["1"]).after_ms(100_000).emits(none());
}

#[test]
fn it_sends_again_and_again() {
    let bench = trigger(json!({"duration": -1, "units": "s", "op1type": "pay"})).send("a").emits(["a"]);
    let bench = bench.after_ms(2_000).emits(["a", "a"]).send("b").after_ms(1_000).emits(["b", "b"]);
    let bench = bench.crashed().after_ms(1_000).emits(["b", "b"]);
    let _ = bench.send_json(json!({"reset": true})).after_ms(9_000).emits(none());
}

#[test]
fn topics_wait_for_themselves() {
    let config = json!({"bytopic": "topic", "topic": "room", "op1": "on", "op2": "off", "duration": 100});
    let bench = trigger(config).send_json(json!({"room": "a"})).after_ms(50).send_json(json!({"room": "b"}));
    let bench = bench.emits(["on", "on"]).send_json(json!({"room": "a", "reset": true})).send(1).after_ms(50);
    let _ = bench
        .emits(["on"])
        .after_ms(50)
        .emits_messages([(0, json!({"room": "b", "payload": "off"})), (0, json!({"payload": "off"}))]);
}

#[test]
fn what_it_waits_for_survives_a_crash() {
    let bench = trigger(json!({"duration": 100, "op2type": "pay"})).send("x").emits(["1"]).after_ms(60);
    let bench = bench.crashed().send("y").emits(none()).after_ms(40).emits(["x"]);
    let bench = bench.crashed().after_ms(1_000).emits(none());
    // Overdue, and sent only once the receiver has dealt with it.
    let bench = bench.with_slow_receiver().send("z").emits(["1"]).delivered().after_ms(100).emits(["z"]);
    let bench = bench.crashed().after_ms(0).emits(["z"]).delivered();
    let _ = bench.crashed().after_ms(1_000).emits(none());
}

#[test]
fn nothing_may_be_sent() {
    let first = trigger(json!({"op1type": "nul", "op2": "x", "duration": 10})).send(1).emits(none());
    let _ = first.after_ms(10).emits(["x"]);
    let second = trigger(json!({"op2type": "nul", "duration": 10})).send(1).send(2).after_ms(10).send(3);
    let _ = second.emits(["1", "1"]).after_ms(100).emits(none());
}

#[test]
fn expressions_are_refused() {
    let problem = Bench::try_of::<Trigger>(json!({"op1type": "jsonata", "op1": "$now()"})).err().unwrap();
    assert!(problem.contains("/op1") && problem.contains("not supported yet"), "{problem}");
}

#[derive(Default)]
struct Source(Mutex<Vec<Outcome>>);

impl AckSink for Source {
    fn complete(&self, _id: u64, outcome: Outcome) {
        self.0.lock().unwrap().push(outcome);
    }
}

#[test]
fn a_source_waits_for_the_second_message_where_the_flow_wants_it() {
    let source = Arc::new(Source::default());
    let token = || Some(Token::new(source.clone(), 1));
    let send = |bench: Bench| bench.send_with(Message::with_payload(1, Value::Null), token());
    let _ = send(trigger(json!({"duration": 10})));
    assert_eq!(source.0.lock().unwrap().len(), 1);
    let bench = send(trigger(json!({"duration": 10, "ack": "through"})));
    assert_eq!(source.0.lock().unwrap().len(), 1);
    let _ = bench.after_ms(10).emits(["1", "0"]);
    assert_eq!(source.0.lock().unwrap().len(), 2);
}
