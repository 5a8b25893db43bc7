#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use super::*;
use serde_json::json;
use tidewire_model::Value;
use tidewire_node_api::bench::Bench;
use tidewire_node_api::{ContextScope, NodeDef};

#[track_caller]
fn check(rules: Json, message: Json, expected: Json) {
    let _ = Bench::of::<Change>(json!({"rules": rules})).send_json(message).emits_messages([(0, expected)]);
}

fn set(p: &str, to: &str, tot: &str) -> Json {
    json!({"t": "set", "p": p, "pt": "msg", "to": to, "tot": tot})
}

#[test]
fn set_takes_every_type() {
    check(json!([set("payload", "x", "str")]), json!({"payload": 1}), json!({"payload": "x"}));
    check(json!([set("payload", "12.5", "num")]), json!({}), json!({"payload": 12.5}));
    check(json!([set("payload.a.b", "true", "bool")]), json!({}), json!({"payload": {"a": {"b": true}}}));
    check(json!([set("payload", "{\"a\":[1]}", "json")]), json!({}), json!({"payload": {"a": [1]}}));
    check(
        json!([set("topic", "payload.a", "msg")]),
        json!({"payload": {"a": 1}}),
        json!({"payload": {"a": 1}, "topic": 1}),
    );
    check(
        json!([{"t": "set", "p": "topic", "to": "msg.payload"}]),
        json!({"payload": 1}),
        json!({"payload": 1, "topic": 1}),
    );
    check(
        json!([set("payload[msg.k]", "1", "num")]),
        json!({"payload": {}, "k": "z"}),
        json!({"payload": {"z": 1}, "k": "z"}),
    );
}

#[test]
fn a_missing_source_deletes_and_a_missing_parent_changes_nothing() {
    check(json!([set("topic", "payload.a", "msg")]), json!({"payload": {}, "topic": 1}), json!({"payload": {}}));
    check(json!([set("topic", "x.y.z", "msg")]), json!({"topic": 1}), json!({"topic": 1}));
    check(json!([set("topic", "x", "msg")]), json!({"topic": 1}), json!({}));
    check(
        json!([set("topic", "a[\"b c\"].d", "msg")]),
        json!({"topic": 1, "a": {"b c": {}}}),
        json!({"a": {"b c": {}}}),
    );
}

#[test]
fn nothing_is_set_below_a_number() {
    let bench = Bench::of::<Change>(json!({"rules": [set("payload.a", "1", "num")]})).send(5);
    assert_eq!(bench.seen().logs[0].1, "Cannot set property of non-object type: payload.a");
    let _ = bench.emits([5]);
}

#[test]
fn change_replaces_in_text() {
    let change = |from: &str, fromt: &str, to: &str, tot: &str| json!([{"t": "change", "p": "payload", "pt": "msg", "from": from, "fromt": fromt, "to": to, "tot": tot}]);
    let check =
        |rule: Json, before: Json, after: Json| check(rule, json!({"payload": before}), json!({"payload": after}));
    check(change("bench/in", "str", "bench/out", "str"), json!("bench/in/7"), json!("bench/out/7"));
    check(change("a", "str", "bb", "str"), json!("aXa"), json!("bbXbb"));
    check(change("a.c", "str", "x", "str"), json!("abc a.c"), json!("abc x"));
    check(change("abc", "str", "5", "num"), json!("abc"), json!(5));
    check(change("b", "str", "5", "num"), json!("abc"), json!("a5c"));
    check(change("(\\w+) (\\w+)", "re", "$2 $1 $& $$ $9", "str"), json!("ab cd"), json!("cd ab ab cd $ $9"));
    check(change("x", "str", "[$&]", "str"), json!("axb"), json!("a[x]b"));
    check(change("^.*$", "re", "true", "bool"), json!("anything"), json!(true));
    check(change("12", "num", "13", "num"), json!(12), json!(13));
    check(change("12", "num", "13", "num"), json!("x12"), json!("x13"));
    check(change("12", "str", "13", "num"), json!(12), json!(12));
    check(change("true", "bool", "no", "str"), json!(true), json!("no"));
    check(change("a", "str", "b", "str"), json!({"a": 1}), json!({"a": 1}));
}

#[test]
fn what_is_searched_may_come_from_the_message() {
    let rules = json!([{"t": "change", "p": "payload", "from": "find", "fromt": "msg", "to": "put", "tot": "msg"}]);
    check(
        rules.clone(),
        json!({"payload": "a-b", "find": "-", "put": "+"}),
        json!({"payload": "a+b", "find": "-", "put": "+"}),
    );
    let bench = Bench::of::<Change>(json!({"rules": rules})).send_json(json!({"payload": "a", "find": {}}));
    assert_eq!(bench.seen().errors[0].text, "Invalid 'from' property: unsupported type: object");
}

#[test]
fn delete_and_move() {
    let mv = |p: &str, to: &str| json!([{"t": "move", "p": p, "pt": "msg", "to": to, "tot": "msg"}]);
    check(
        json!([{"t": "delete", "p": "payload.a"}]),
        json!({"payload": {"a": 1, "b": 2}}),
        json!({"payload": {"b": 2}}),
    );
    check(json!([{"t": "delete", "p": "payload[0]"}]), json!({"payload": [1, 2]}), json!({"payload": [2]}));
    check(mv("topic", "payload"), json!({"topic": "t", "payload": 1}), json!({"payload": "t"}));
    check(mv("payload.a", "payload"), json!({"payload": {"a": {"b": 1}}}), json!({"payload": {"b": 1}}));
    check(mv("payload", "payload.a"), json!({"payload": 1}), json!({"payload": {"a": 1}}));
    check(mv("payload", "payload"), json!({"payload": 1}), json!({"payload": 1}));
}

#[test]
fn the_old_form_of_one_rule_still_works() {
    let run = |config: Json, message: Json, expected: Json| {
        let _ = Bench::of::<Change>(config).send_json(message).emits_messages([(0, expected)]);
    };
    run(json!({"action": "replace", "property": "payload", "to": "x"}), json!({"payload": 1}), json!({"payload": "x"}));
    run(
        json!({"action": "replace", "property": "topic", "to": "msg.payload"}),
        json!({"payload": 1}),
        json!({"payload": 1, "topic": 1}),
    );
    run(
        json!({"action": "change", "property": "payload", "from": "a+", "to": "b", "reg": true}),
        json!({"payload": "caat"}),
        json!({"payload": "cbt"}),
    );
    run(json!({"action": "delete", "property": "payload"}), json!({"payload": 1}), json!({}));
    run(json!({"action": "move", "property": "payload", "to": "topic"}), json!({"payload": 1}), json!({"topic": 1}));
    let old = json!({"action": "replace", "property": "foo", "to": "msg.bar"});
    let rule = json!({"t": "set", "p": "foo", "pt": "msg", "to": "bar", "tot": "msg", "fromt": "str"});
    assert_eq!(NodeDef::of::<Change>().effective(&old), Some(json!({"rules": [rule]})));
}

#[test]
fn a_property_of_an_unshared_message_is_set_in_place() {
    let mut message = Message::with_payload(1, Value::lazy_json(r#"{"t":31,"hop":0}"#.into()).unwrap());
    message.body_mut().get_mut("payload").unwrap().resolve_mut();
    let before = message.payload().as_object().unwrap() as *const _;
    let rule = json!({"rules": [set("payload.hop", "7", "num")]});
    let mut bench = Bench::of::<Change>(rule).send_message(message);
    let (_, after) = bench.take().remove(0);
    assert_eq!(after.payload().to_json(), r#"{"t":31,"hop":7}"#);
    assert!(std::ptr::eq(before, after.payload().as_object().unwrap()), "not copied");
}

fn with_flow(rules: Json, key: &str, value: Json) -> Bench {
    Bench::of::<Change>(json!({"rules": rules})).with_context(ContextScope::Flow, key, Value::from(value))
}

fn flow(bench: &Bench, key: &str) -> Value {
    bench.context().get(ContextScope::Flow, None, key).unwrap()
}

#[test]
fn context_is_read_and_written() {
    let rules = json!([set("payload", "last[msg.topic].v", "flow"),
        {"t": "set", "p": "seen[\"x y\"]", "pt": "flow", "to": "topic", "tot": "msg"},
        {"t": "set", "p": "#:(memory)::count", "pt": "global", "to": "3", "tot": "num"}]);
    let bench = with_flow(rules, "last", json!({"a": {"v": 7}})).send_json(json!({"topic": "a"}));
    assert_eq!(flow(&bench, "seen"), Value::from(json!({"x y": "a"})));
    assert_eq!(bench.context().get(ContextScope::Global, Some("memory"), "count"), Ok(Value::from(3)));
    let _ = bench.emits([7]);
}

#[test]
fn context_is_changed_deleted_and_moved() {
    let change =
        json!({"t": "change", "p": "name", "pt": "flow", "from": "bench", "fromt": "str", "to": "true", "tot": "bool"});
    let bench = with_flow(json!([change]), "name", json!("my bench")).send(1);
    assert_eq!(flow(&bench, "name"), Value::from("my true"));
    let bench = with_flow(json!([change]), "name", json!("bench")).send(1);
    assert_eq!(flow(&bench, "name"), Value::from(true));
    let bench = with_flow(json!([{"t": "delete", "p": "name", "pt": "flow"}]), "name", json!(1)).send(1);
    assert!(flow(&bench, "name").is_undefined());
    let mv = json!([{"t": "move", "p": "name.a", "pt": "flow", "to": "topic", "tot": "msg"}]);
    let bench = with_flow(mv, "name", json!({"a": 1, "b": 2})).send_json(json!({"payload": 1}));
    assert_eq!(flow(&bench, "name"), Value::from(json!({"b": 2})));
    let _ = bench.emits_messages([(0, json!({"payload": 1, "topic": 1}))]);
}

#[test]
fn what_is_searched_may_come_from_context() {
    let rules = json!([{"t": "change", "p": "payload", "from": "find", "fromt": "flow", "to": "put", "tot": "flow"}]);
    let bench = with_flow(rules.clone(), "find", json!(12));
    bench.context().set(ContextScope::Flow, None, "put", Value::from("x")).unwrap();
    let bench = bench.send(12).emits([Value::from("x")]);
    assert_eq!(bench.send("a12b").emits(["axb"]).seen().errors.len(), 0);
    let bench = with_flow(rules, "find", json!(null)).send(1);
    assert_eq!(bench.seen().errors[0].code, Some("change.errors.invalid-from"));
}

#[test]
fn below_what_is_no_object_nothing_is_set_in_context_either() {
    let rules = json!([{"t": "set", "p": "name.a", "pt": "flow", "to": "1", "tot": "num"}]);
    let bench = with_flow(rules, "name", json!("text")).send(1);
    let error = bench.seen().errors.remove(0);
    assert!(error.text.contains("no object") && error.message.is_some(), "{error}");
}

#[test]
fn what_is_not_supported_is_refused_with_the_rule_named() {
    let rules = json!([set("a", "1", "num"), set("b", "$x", "jsonata"), {"t": "set", "p": "", "pt": "flow", "to": ""},
        {"t": "change", "p": "payload", "from": "(", "fromt": "re", "to": ""}, {"t": "delete", "p": "a", "pt": "env"}]);
    let text = Bench::try_of::<Change>(json!({"rules": rules})).err().unwrap();
    for part in
        ["/rules/1/to: JSONata", "/rules/2/p: invalid", "/rules/3/from: Invalid 'from'", "/rules/4/p: values of"]
    {
        assert!(text.contains(part), "{part} in {text}");
    }
}
