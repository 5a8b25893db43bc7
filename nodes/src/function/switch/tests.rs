#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use super::*;
use serde_json::json;
use tidewire_node_api::ContextScope;
use tidewire_node_api::bench::Bench;

fn ports(config: Json, payloads: impl IntoIterator<Item = Json>) -> Vec<Vec<usize>> {
    let mut bench = Bench::of::<Switch>(config);
    let mut all = Vec::new();
    for payload in payloads {
        bench = bench.send(Value::from(payload));
        all.push(bench.take().into_iter().map(|(port, _)| port).collect());
    }
    all
}

#[test]
fn a_message_goes_to_every_rule_it_meets() {
    let rules = json!([{"t": "gt", "v": "10", "vt": "num"}, {"t": "lt", "v": "30", "vt": "num"}, {"t": "else"}]);
    let config = json!({"rules": rules, "checkall": "true"});
    assert_eq!(ports(config, [json!(20), json!(40), json!("x"), json!(null)]), [vec![0, 1], vec![0], vec![2], vec![1]]);
}

#[test]
fn first_match_stops_there() {
    let rules = json!([{"t": "gt", "v": "10"}, {"t": "gt", "v": "5"}, {"t": "else"}]);
    let config = json!({"rules": rules, "checkall": "false"});
    assert_eq!(ports(config, [json!(20), json!(7), json!(1)]), [vec![0], vec![1], vec![2]]);
}

#[test]
fn it_reads_a_property_of_json_that_nobody_parsed_yet() {
    let rules = json!([{"t": "gt", "v": "30", "vt": "num"}]);
    let bench = Bench::of::<Switch>(json!({"property": "payload.t", "rules": rules}));
    let hot = Value::lazy_json(r#"{"t":31.5}"#.into()).unwrap();
    let cold = Value::lazy_json(r#"{"t":12}"#.into()).unwrap();
    let mut bench = bench.send(hot).send(cold);
    let sent = bench.take();
    assert_eq!(sent.len(), 1);
    assert!(matches!(sent[0].1.payload(), Value::Json(_)), "the payload is passed on as it came");
}

#[test]
fn the_value_may_come_from_the_message_or_the_one_before() {
    let rules = json!([{"t": "eq", "v": "limit", "vt": "msg"}]);
    let mut bench = Bench::of::<Switch>(json!({"rules": rules})).send_json(json!({"payload": 3, "limit": "3"}));
    assert_eq!(bench.take().len(), 1);
    let rules = json!([{"t": "gt", "v": "", "vt": "prev"}]);
    assert_eq!(
        ports(json!({"rules": rules}), [json!(1), json!(2), json!(2), json!(3)]),
        [vec![0], vec![0], vec![], vec![0]]
    );
}

#[test]
fn the_end_of_a_sequence_is_known_once_it_is_complete() {
    let config = json!({"rules": [{"t": "tail", "v": "1", "vt": "num"}]});
    let part = |index, count: Json| json!({"payload": index, "parts": {"id": "s", "index": index, "count": count}});
    let mut bench = Bench::of::<Switch>(config).send_json(part(0, Json::Null)).send_json(part(1, Json::Null));
    assert!(bench.take().is_empty());
    let _ = bench.send_json(part(2, json!(3))).emits([2]);
}

#[test]
fn sequences_are_numbered_anew_at_each_output() {
    let rules = json!([{"t": "gt", "v": "1", "vt": "num"}, {"t": "else"}]);
    let part = |payload, index| json!({"payload": payload, "parts": {"id": "s", "index": index, "count": 3}});
    let bench = Bench::of::<Switch>(json!({"rules": rules, "repair": true, "checkall": "true"}));
    let mut bench = bench.send_json(part(1, 0)).send_json(part(2, 1)).send_json(part(3, 2));
    let parts: Vec<_> = bench
        .take()
        .into_iter()
        .map(|(port, message)| {
            let parts = message.get("parts").unwrap().clone();
            (port, parts.get("index").unwrap().as_i64().unwrap(), parts.get("count").unwrap().as_i64().unwrap())
        })
        .collect();
    assert_eq!(parts, [(0, 0, 2), (0, 1, 2), (1, 0, 1)]);
}

fn part(index: i64, count: Option<i64>) -> Json {
    json!({"payload": index, "parts": {"id": "s", "index": index, "count": count}})
}

#[test]
fn flow_and_global_context_can_be_looked_at_and_compared_with() {
    let rules = json!([{"t": "eq", "v": "#:(memory)::limits[msg.topic]", "vt": "global"}]);
    let bench = Bench::of::<Switch>(json!({"property": "level.now", "propertyType": "flow", "rules": rules}))
        .with_context(ContextScope::Flow, "level", Value::from(json!({"now": 5})));
    let limits = Value::from(json!({"tank": 5, "pond": 6}));
    bench.context().set(ContextScope::Global, Some("memory"), "limits", limits).unwrap();
    let mut bench = bench.send_json(json!({"topic": "tank", "payload": 1}));
    assert_eq!(bench.take().len(), 1);
    let mut bench = bench.send_json(json!({"topic": "pond"})).send_json(json!({"topic": "gone"})).send(1);
    assert!(bench.take().is_empty());
    bench.context().set(ContextScope::Flow, None, "level.now", Value::from(6)).unwrap();
    let mut bench = bench.send_json(json!({"topic": "pond"}));
    assert_eq!(bench.take().len(), 1);
}

#[test]
fn a_broken_expression_that_comes_with_the_message_is_an_error() {
    let config = json!({"rules": [{"t": "regex", "v": "pattern", "vt": "msg"}, {"t": "else"}]});
    let mut bench = Bench::of::<Switch>(config).send_json(json!({"payload": "a", "pattern": "("}));
    assert!(bench.take().is_empty());
    let error = bench.seen().errors.remove(0);
    assert!(error.text.contains("regular expression") && error.message.is_some(), "{error}");
}

#[test]
fn complete_nodes_hear_nothing_of_a_switch() {
    let bench = Bench::of::<Switch>(json!({"rules": [{"t": "else"}]})).with_completions().send(1);
    assert!(bench.seen().completed.is_empty());
}

#[test]
fn what_waits_for_its_sequence_survives_a_crash_and_a_deploy() {
    let config = || json!({"rules": [{"t": "tail", "v": "1", "vt": "num"}]});
    let bench = Bench::of::<Switch>(config()).send_json(part(0, None)).send_json(part(1, None));
    let _ = bench.crashed().send_json(part(2, Some(3))).emits([2]);
    let bench = Bench::of::<Switch>(config()).send_json(part(0, Some(2)));
    let mut bench = bench.crashed().crashed();
    assert!(bench.take().is_empty());
    let bench = bench.send_json(part(1, Some(2))).emits([1]);
    // What has left is not held any more.
    let _ = bench.crashed().after_ms(1000).emits(Vec::<i64>::new());
}

#[test]
fn too_many_waiting_messages_are_an_error_and_all_of_them_go() {
    let bench = Bench::of::<Switch>(json!({"rules": [{"t": "tail", "v": "2", "vt": "num"}]}))
        .with_setting("nodeMessageBufferMaxLength", 2)
        .send_json(part(2, Some(4)))
        .send_json(part(1, Some(4)));
    assert!(bench.seen().errors.is_empty());
    let bench = bench.send_json(part(3, Some(4))).send_json(part(0, Some(4)));
    let errors = bench.seen().errors;
    assert_eq!((errors.len(), errors[0].code), (1, Some("switch.errors.too-many")));
    let _ = bench.crashed().after_ms(1000).emits(Vec::<i64>::new());
}

#[test]
fn flow_files_write_booleans_in_many_ways() {
    let config = json!({"rules": [{"t": true}, {"t": "true"}], "checkall": "false"});
    assert_eq!(ports(config, [json!(true)]), [vec![0]]);
    let written = serde_json::to_value(SwitchConfig::default()).unwrap();
    assert_eq!(written["checkall"], json!("true"), "as Node-RED writes it");
}

#[test]
fn what_is_not_supported_is_refused_with_the_rule_named() {
    let rules = json!([{"t": "eq", "v": "1"}, {"t": "jsonata_exp", "v": "$x"}, {"t": "eq", "v": "k[", "vt": "flow"}]);
    let text = Bench::try_of::<Switch>(json!({"rules": rules})).err().unwrap();
    assert!(text.contains("/rules/1/v: JSONata") && text.contains("/rules/2/v: invalid property path"), "{text}");
}
