//! Behaviour of `join`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::sync::Arc;

use serde_json::{Value as Json, json};
use tidewire_model::{Message, Value};
use tidewire_node_api::Token;
use tidewire_node_api::bench::Bench;

use super::Join;
use crate::testing::Source;

fn join(config: Json) -> Bench {
    Bench::of::<Join>(config)
}

fn all(bench: Bench, messages: impl IntoIterator<Item = Json>) -> Bench {
    messages.into_iter().fold(bench, Bench::send_json)
}

fn value(json: Json) -> Value {
    Value::from(json)
}

fn part(payload: &Json, parts: Json) -> Json {
    json!({"payload": payload, "parts": parts})
}

#[test]
fn a_sequence_is_put_together_as_its_parts_say() {
    let text = |index: u32| {
        part(&json!(index.to_string()), json!({"id": 1, "type": "string", "ch": "-", "count": 3, "index": index}))
    };
    let _ = all(join(json!({})), [text(2), text(0), text(0), text(1)]).emits(["0-1-2"]);
    let object = |key: &str| part(&json!(key), json!({"id": 1, "type": "object", "key": key, "count": 2}));
    let _ = all(join(json!({})), [object("a"), object("b")]).emits([value(json!({"a": "a", "b": "b"}))]);
    let array = |index: u32| {
        part(&json!([index, "x"]), json!({"id": 1, "type": "array", "len": 2, "count": 2, "index": index}))
    };
    let _ = all(join(json!({})), [array(1), array(0)]).emits([value(json!([0, "x", 1, "x"]))]);
    let bytes = |index: u32| json!({"id": 1, "type": "buffer", "ch": [13, 10], "count": 2, "index": index});
    let mut bench = all(join(json!({})), [part(&json!("a"), bytes(0)), part(&json!("b"), bytes(1))]);
    assert_eq!(bench.take()[0].1.payload(), &Value::Bytes("a\r\nb".into()));
}

#[test]
fn the_sequence_around_comes_back_and_later_properties_win() {
    let inner = |index: u32| json!({"id": 2, "count": 2, "index": index, "parts": {"id": 1}, "property": "a.b"});
    let bench = all(
        join(json!({})),
        [
            json!({"a": {"b": 1}, "topic": "first", "only": true, "parts": inner(0)}),
            json!({"a": {"b": 2}, "topic": "last", "parts": inner(1)}),
        ],
    );
    let expected = json!({"a": {"b": [1, 2]}, "topic": "last", "only": true, "parts": {"id": 1}});
    let _ = bench.emits_messages([(0, expected)]);
}

#[test]
fn sequences_do_not_mix_and_may_be_dropped() {
    let of = |id: u32, index: u32| part(&json!(index), json!({"id": id, "count": 2, "index": index}));
    let bench =
        all(join(json!({})), [of(1, 0), of(2, 0), json!({"reset": true, "parts": {"id": 1}}), of(1, 1), of(2, 1)]);
    let bench = bench.emits([value(json!([0, 1]))]);
    let bench = all(bench, [of(3, 0), json!({"reset": true}), of(3, 1), json!({"payload": 1})]);
    assert_eq!(bench.seen().logs.len(), 1, "a message without parts is worth a warning");
    let _ = all(bench, [of(3, 0)]).emits([value(json!([0, 1]))]);
}

#[test]
fn messages_are_collected_to_a_count() {
    let custom = |build: &str| json!({"mode": "custom", "build": build, "count": "3", "joiner": "\\n"});
    let numbers = || [json!({"payload": 1}), json!({"payload": true}), json!({"payload": "x"})];
    let _ = all(join(custom("array")), numbers()).emits([value(json!([1, true, "x"]))]);
    let _ = all(join(custom("string")), numbers()).emits(["1\ntrue\nx"]);
    let named = |topic: &str| json!({"payload": 1, "topic": topic});
    let bench = all(join(custom("object")), [named("a"), named("b"), named("b"), json!({"payload": 5}), named("c")]);
    let _ = bench.emits([value(json!({"a": 1, "b": 1, "c": 1}))]);
    let merged = [json!({"payload": {"a": 1}}), json!({"payload": 7}), json!({"payload": {"a": 2, "b": 3, "c": 4}})];
    let bench = all(join(custom("merged")), merged);
    assert_eq!(bench.seen().logs.len(), 1);
    let _ = bench.emits([value(json!({"a": 2, "b": 3, "c": 4}))]);
    let full = json!({"mode": "custom", "build": "array", "count": 2, "propertyType": "full", "property": ""});
    let mut bench = all(join(full), [json!({"payload": "a"}), json!({"payload": "b"})]);
    assert_eq!(bench.take()[0].1.payload().as_array().unwrap()[1].get("payload").unwrap().as_str(), Some("b"));
}

#[test]
fn bytes_are_made_of_bytes_text_and_arrays_only() {
    let config = json!({"mode": "custom", "build": "buffer", "count": 2, "joiner": "[45]", "joinerType": "bin"});
    let mut bench = all(join(config), [json!({"payload": "a"}), json!({"payload": 1}), json!({"payload": [98]})]);
    assert_eq!(bench.seen().errors[0].text, "Cannot join number to buffer");
    assert_eq!(bench.take()[0].1.payload(), &Value::Bytes("a-b".into()));
}

#[test]
fn a_group_is_sent_when_told_or_when_its_time_is_over() {
    let config = || json!({"mode": "custom", "build": "string", "joiner": ",", "timeout": "2", "count": ""});
    let bench =
        join(config()).send("a").after_ms(1_000).send("b").after_ms(999).emits([""; 0]).after_ms(1).emits(["a,b"]);
    let bench = bench.send("a").send_json(json!({"payload": "", "complete": true})).emits(["a,"]);
    let bench = bench.after_ms(5_000).emits([""; 0]).send("c").after_ms(1_500);
    let bench = bench.send_json(json!({"payload": "d", "restartTimeout": true})).after_ms(1_999).emits([""; 0]);
    let _ = bench.after_ms(1).emits(["c,d"]);
    let objects = join(json!({"mode": "custom", "build": "object", "count": 9}));
    let bench = all(objects, [json!({"payload": 1, "topic": "a"}), json!({"complete": true})]);
    let _ = bench.emits([value(json!({"a": 1}))]);
}

#[test]
fn an_accumulated_result_grows_until_it_is_told_complete() {
    let config = json!({"mode": "custom", "build": "merged", "count": 2, "accumulate": "true"});
    let send = |bench: Bench, key: &str| bench.send(value(json!({key: 1})));
    let bench = send(send(join(config), "a"), "b").emits([value(json!({"a": 1, "b": 1}))]);
    let bench = send(bench.crashed(), "c").emits([value(json!({"a": 1, "b": 1, "c": 1}))]);
    let bench = bench.send_json(json!({"payload": {"d": 1}, "complete": 1}));
    let bench = bench.emits([value(json!({"a": 1, "b": 1, "c": 1, "d": 1}))]);
    let _ = send(bench, "e").crashed().emits([Value::Null; 0]);
    let config = json!({"mode": "custom", "build": "merged", "timeout": 1, "accumulate": true});
    let bench = send(send(join(config), "a"), "b").after_ms(1_000).emits([value(json!({"a": 1, "b": 1}))]);
    let _ = bench.crashed().after_ms(5_000).emits([Value::Null; 0]);
}

#[test]
fn parts_count_where_the_flow_says_so() {
    let config = |useparts: bool| json!({"mode": "custom", "build": "array", "count": "", "useparts": useparts});
    let of = |index: u32| part(&json!(index), json!({"id": 7, "count": 2, "index": index, "parts": {"id": 1}}));
    let _ = all(join(config(true)), [of(1), of(0)]).emits([value(json!([1, 0]))]);
    let mut bench = all(join(config(false)), [of(1), of(0)]);
    assert!(bench.take().is_empty());
}

#[test]
fn what_was_collected_survives_a_crash() {
    let of = |index: u32| part(&json!(index), json!({"id": 1, "count": 3, "index": index}));
    let bench = all(all(join(json!({})), [of(2), of(0)]).crashed(), [of(1)]).emits([value(json!([0, 1, 2]))]);
    let bench = all(bench.crashed(), [of(1)]).emits([Value::Null; 0]);
    // Neither is it lost as long as nobody has dealt with the result.
    let bench = all(bench.with_slow_receiver(), [of(2), of(0)]).emits([value(json!([0, 1, 2]))]);
    let bench = all(bench.replaced(), [of(1)]).emits([Value::Null; 0]).delivered();
    let _ = all(bench.crashed(), [of(0), of(2)]).emits([value(json!([0, 1, 2]))]);
    let timed = join(json!({"mode": "custom", "build": "array", "timeout": 1})).send(1).after_ms(900).crashed();
    let _ = timed.send(2).after_ms(99).emits([Value::Null; 0]).after_ms(1).emits([value(json!([1, 2]))]);
}

#[test]
fn a_group_that_goes_on_for_ever_keeps_few_records() {
    let config = json!({"mode": "custom", "build": "object", "count": 4});
    let send = |bench: Bench, n: u32| bench.send_json(json!({"payload": n, "topic": format!("t{}", n % 3)}));
    let bench = (0..1_000).fold(join(config), send).crashed();
    let bench = bench.send_json(json!({"payload": "last", "topic": "t3"}));
    let _ = bench.emits([value(json!({"t0": 999, "t1": 997, "t2": 998, "t3": "last"}))]);
}

#[test]
fn the_work_on_all_messages_ends_with_the_group() {
    let bench = join(json!({"mode": "custom", "build": "array", "count": 2})).with_completions().send(1);
    assert!(bench.seen().completed.is_empty());
    let bench = bench.send(2);
    assert_eq!(bench.seen().completed.len(), 2);
    assert_eq!(bench.send(3).send_json(json!({"reset": true})).seen().completed.len(), 2);
}

#[test]
fn a_reduction_is_refused_until_there_are_expressions() {
    let problem = Bench::try_of::<Join>(json!({"mode": "reduce", "reduceExp": "$A+payload"})).err().unwrap();
    assert!(problem.contains("/mode") && problem.contains("not supported yet"), "{problem}");
}

#[test]
fn sources_may_wait_for_the_result() {
    let source = Arc::new(Source::default());
    let send =
        |bench: Bench, id: u64| bench.send_with(Message::with_payload(id, id), Some(Token::new(source.clone(), id)));
    let config = |ack: &str| json!({"mode": "custom", "build": "array", "count": 3, "ack": ack});
    let bench = send(send(join(config("accept")), 1), 2).with_slow_receiver();
    assert_eq!(std::mem::take(&mut *source.0.lock().unwrap()), [1, 2]);
    // The last message is in no record, so its source waits for the result.
    let bench = send(bench, 3);
    assert!(source.0.lock().unwrap().is_empty());
    let _ = bench.delivered();
    assert_eq!(std::mem::take(&mut *source.0.lock().unwrap()), [3]);
    let bench = send(send(join(config("through")).with_slow_receiver(), 1), 2);
    let bench = send(bench, 3);
    assert!(source.0.lock().unwrap().is_empty());
    let _ = bench.delivered();
    assert_eq!(*source.0.lock().unwrap(), [1, 2, 3]);
}
