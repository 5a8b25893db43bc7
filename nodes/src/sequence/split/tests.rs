//! Behaviour of `split`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::sync::Arc;

use serde_json::{Value as Json, json};
use tidewire_model::{Message, Value};
use tidewire_node_api::Token;
use tidewire_node_api::bench::Bench;

use super::Split;
use crate::testing::Source;

fn split(config: Json) -> Bench {
    Bench::of::<Split>(config)
}

fn texts(bench: &mut Bench) -> Vec<String> {
    bench.take().iter().map(|(_, message)| message.payload().to_text().into_owned()).collect()
}

fn parts(bench: &mut Bench) -> Vec<Json> {
    let sent = bench.take();
    sent.iter().map(|(_, message)| serde_json::from_str(&message.get("parts").unwrap().to_json()).unwrap()).collect()
}

#[test]
fn text_is_cut_into_parts_that_know_their_place() {
    let mut bench = split(json!({})).send_json(json!({"payload": "a\nb", "topic": "t", "parts": {"id": "outer"}}));
    let sent = bench.take();
    assert_ne!(sent[0].1.msgid(), sent[1].1.msgid());
    assert_eq!((sent[0].1.topic(), sent[1].1.payload().as_str()), (Some("t"), Some("b")));
    let told = sent[1].1.get("parts").unwrap();
    let id = told.get("id").unwrap().as_str().unwrap();
    let expected = json!({"parts": {"id": "outer"}, "id": id, "type": "string", "ch": "\n", "count": 2, "index": 1});
    assert_eq!(*told, Value::from(expected));
}

#[test]
fn text_and_bytes_are_cut_into_lengths_and_at_bytes() {
    let mut bench = split(json!({"splt": "2", "spltType": "len"})).send("123").send(Value::Bytes("4567".into()));
    assert_eq!(texts(&mut bench), ["12", "3", "45", "67"]);
    let mut bench = split(json!({"splt": "[52]", "spltType": "bin"})).send(Value::Bytes("1425".into())).send("1425");
    let told = parts(&mut bench);
    assert_eq!(
        (&told[0]["ch"], &told[0]["type"], &told[2]["type"]),
        (&json!([52]), &json!("buffer"), &json!("string"))
    );
}

#[test]
fn arrays_and_objects_are_taken_apart() {
    let bench = split(json!({"arraySplt": "2"})).send(Value::from(json!([1, 2, 3])));
    let mut bench = bench.emits([Value::from(json!([1, 2])), Value::from(json!([3]))]).send(Value::from(json!([])));
    assert!(bench.take().is_empty());
    let config = json!({"property": "a.b", "addname": "name"});
    let mut bench = split(config).send_json(json!({"a": {"b": {"x": 1, "y": "z"}}}));
    let sent = bench.take();
    assert_eq!(sent[1].1.body().get("a"), Some(&Value::from(json!({"b": "z"}))));
    assert_eq!(sent[1].1.get("name").unwrap().as_str(), Some("y"));
    let told = sent[1].1.get("parts").unwrap();
    let of = |key: &str| told.get(key).cloned().unwrap_or_default();
    assert_eq!((of("key"), of("count"), of("property")), ("y".into(), 2.into(), "a.b".into()));
}

#[test]
fn what_cannot_be_taken_apart_is_dropped() {
    let mut bench = split(json!({})).send(1).send(true).send(Value::Null).send_json(json!({"topic": "no payload"}));
    assert!(bench.take().is_empty());
}

#[test]
fn impossible_separators_are_refused() {
    for config in [
        json!({"splt": "1", "spltType": "bin"}),
        json!({"splt": "[]", "spltType": "bin"}),
        json!({"splt": 0, "spltType": "len"}),
        json!({"arraySplt": 0}),
    ] {
        assert!(Bench::try_of::<Split>(config.clone()).is_err(), "{config}");
    }
}

fn stream() -> Json {
    json!({"stream": true})
}

#[test]
fn a_stream_takes_up_what_was_left_over() {
    let mut bench = split(stream()).send("a\nb").send("c\n").send("\nd");
    let sent = bench.take();
    let got: Vec<_> = sent.iter().map(|(_, message)| message.payload().as_str().unwrap()).collect();
    assert_eq!(got, ["a", "bc", ""]);
    let indexes: Vec<_> = sent.iter().map(|(_, message)| message.get("parts").unwrap().get("index").cloned()).collect();
    assert_eq!(indexes, [Some(Value::from(0)), Some(Value::from(1)), Some(Value::from(2))]);
    assert!(sent[0].1.get("parts").unwrap().get("count").is_none());
    let lengths = json!({"stream": true, "splt": 3, "spltType": "len"});
    let mut bench = split(lengths).send(Value::Bytes("12".into())).send(Value::Bytes("3456".into()));
    assert_eq!(texts(&mut bench), ["123", "456"]);
}

#[test]
fn what_was_left_over_survives_a_crash() {
    let mut bench = split(stream()).send("a\nb").send("c").crashed().send("d\ne");
    assert_eq!(texts(&mut bench), ["a", "bcd"]);
    let mut bench = bench.replaced().crashed().send("f\n");
    assert_eq!(texts(&mut bench), ["ef"]);
}

#[test]
fn parts_that_nobody_dealt_with_come_again() {
    let mut bench = split(stream()).with_slow_receiver().send("a\nb\nc").send("d\ne");
    assert_eq!(texts(&mut bench), ["a", "b", "cd"]);
    let mut bench = bench.crashed();
    assert_eq!(texts(&mut bench), ["a", "b", "cd"]);
    let mut bench = bench.delivered().crashed().send("f\n");
    assert_eq!(texts(&mut bench), ["ef"]);
}

#[test]
fn the_work_ends_when_nothing_is_left_over() {
    let config = json!({"stream": true, "splt": 5, "spltType": "len"});
    let bench = split(config).with_completions().send("12").send("34");
    assert!(bench.seen().completed.is_empty());
    assert_eq!(bench.send("5").seen().completed.len(), 3);
}

#[test]
fn a_source_may_wait_until_nothing_is_left_over() {
    let source = Arc::new(Source::default());
    let send = |bench: Bench, id: u64, text: &str| {
        bench.send_with(Message::with_payload(id, text), Some(Token::new(source.clone(), id)))
    };
    let _ = send(split(stream()), 1, "a\nb");
    assert_eq!(std::mem::take(&mut *source.0.lock().unwrap()), [1]);
    let bench = send(split(json!({"stream": true, "ack": "through"})), 2, "a\nb");
    assert!(source.0.lock().unwrap().is_empty());
    let _ = send(bench, 3, "c\n");
    let mut told = source.0.lock().unwrap().clone();
    told.sort_unstable();
    assert_eq!(told, [2, 3]);
}
