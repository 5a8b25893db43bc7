#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use serde_json::json;

use super::*;
use crate::flow::FlowDocument;

fn environment(flow: Json) -> Environment {
    let expanded = Expanded::of(&FlowDocument::from_json(flow).unwrap(), &|_| None);
    let process = |name: &str| match name {
        "HOME" => Some("/root".to_owned()),
        "K" => Some("process".to_owned()),
        _ => None,
    };
    let secret = |owner: &str, name: &str| (name == "pass").then(|| format!("{owner}'s secret"));
    Environment::of(&expanded, &Outside { process: Arc::new(process), secret: &secret, now_ms: 86_400_000 })
}

fn k(value: &str) -> Json {
    json!([{"name": "K", "type": "str", "value": value}])
}

/// A tab with a group in a group, an instance of a subflow in it, and a node in a group of that.
fn house() -> Json {
    json!([
        {"id": "all", "type": "global-config", "env": k("global")},
        {"id": "t", "type": "tab", "label": "Tab", "env": k("tab")},
        {"id": "outer", "type": "group", "name": "Outer", "z": "t", "env": k("outer")},
        {"id": "inner", "type": "group", "name": "Inner", "z": "t", "g": "outer", "env": k("inner")},
        {"id": "i", "type": "subflow:s", "name": "Instance", "z": "t", "g": "inner", "env": k("instance"), "wires": []},
        {"id": "s", "type": "subflow", "name": "Definition",
            "env": [{"name": "K", "type": "str", "value": "definition"}, {"name": "D", "type": "num", "value": "7"}]},
        {"id": "frame", "type": "group", "name": "Frame", "z": "s", "env": k("frame")},
        {"id": "n", "type": "x", "name": "Node", "z": "s", "g": "frame", "wires": []},
        {"id": "plain", "type": "x", "z": "t", "wires": []},
        {"id": "lone", "type": "x", "wires": []}])
}

#[test]
fn inner_scopes_hide_outer_ones_and_parent_reaches_past_them() {
    let env = environment(house());
    let names = ["K", "$parent.K", "$parent.$parent.K", "$parent.$parent.$parent.K"];
    assert_eq!(
        names.map(|name| env.get("i-n", name).unwrap()),
        ["frame", "instance", "inner", "outer"].map(Value::from)
    );
    let names = ["K", "$parent.K", "$parent.$parent.K", "HOME", "D"];
    assert_eq!(
        names.map(|name| env.get("plain", name)),
        [Some("tab"), Some("global"), Some("process"), Some("/root"), None].map(|text| text.map(Value::from))
    );
    assert_eq!(env.get("lone", "K"), Some(Value::from("global")));
    assert_eq!(env.get("i-n", "D"), Some(Value::Int(7)));
}

#[test]
fn nodes_and_scopes_say_who_they_are() {
    let env = environment(house());
    for (name, value) in [
        ("NR_NODE_ID", "i-n"),
        ("NR_NODE_NAME", "Node"),
        ("NR_NODE_PATH", "t/i/n"),
        ("NR_GROUP_ID", "i-frame"),
        ("NR_GROUP_NAME", "Frame"),
        ("NR_SUBFLOW_ID", "i"),
        ("NR_SUBFLOW_NAME", "Instance"),
        ("NR_SUBFLOW_PATH", "t/i"),
        ("NR_FLOW_ID", "t"),
        ("NR_FLOW_NAME", "Tab"),
    ] {
        assert_eq!(env.get("i-n", name), Some(Value::from(value)), "{name}");
    }
    assert_eq!(env.get("plain", "NR_NODE_NAME"), None);
    assert_eq!(env.get("i", "NR_GROUP_NAME"), Some(Value::from("Inner")));
    assert_eq!(env.get("lone", "NR_FLOW_ID"), None);
}

#[test]
fn every_type_gives_its_own_kind_of_value() {
    let cases = [
        ("str", json!("100"), Value::from("100")),
        ("str", json!(5), Value::from("5")),
        ("num", json!("100"), Value::Int(100)),
        ("num", json!("0.5"), Value::Float(0.5)),
        ("bool", json!("true"), Value::Bool(true)),
        ("bool", json!("no"), Value::Bool(false)),
        ("json", json!("[1,2]"), Value::from_json("[1,2]").unwrap()),
        ("bin", json!("[65,66]"), Value::Bytes(Bytes::from("AB"))),
        ("re", json!("^a$"), Value::from("^a$")),
        ("date", json!(""), Value::Int(86_400_000)),
        ("date", json!("iso"), Value::from("1970-01-02T00:00:00.000Z")),
        ("date", json!("object"), Value::Date(86_400_000)),
        ("cred", json!(""), Value::from("t's secret")),
        ("env", json!("HOME"), Value::from("/root")),
        ("env", json!("x${HOME}${GONE}y"), Value::from("x/rooty")),
        ("env", json!("GONE"), Value::from("")),
        ("conf-type", json!("${K}"), Value::from("process")),
    ];
    for (kind, value, expected) in cases {
        let env = environment(json!([
            {"id": "t", "type": "tab", "env": [{"name": "pass", "type": kind, "value": value}]},
            {"id": "n", "type": "x", "z": "t", "wires": []}]));
        assert_eq!(env.get("n", "pass"), Some(expected), "{kind} {value}");
    }
}

#[test]
fn a_variable_may_be_made_of_others_and_never_of_itself() {
    let env = |name: &str, value: &str| json!({"name": name, "type": "env", "value": value});
    let environment = environment(json!([
        {"id": "t", "type": "tab", "env": [
            env("K", "K"), env("HOME", "${HOME}/tab"), env("late", "${later}!"), env("later", "K"),
            env("round", "${trip}"), env("trip", "${round}")]},
        {"id": "n", "type": "x", "z": "t", "wires": []}]));
    for (name, value) in [
        ("K", "process"),
        ("HOME", "/root/tab"),
        ("late", "process!"),
        ("later", "process"),
        ("round", ""),
        ("trip", ""),
    ] {
        assert_eq!(environment.get("n", name), Some(Value::from(value)), "{name}");
    }
}

#[test]
fn the_last_row_of_a_name_counts_and_secrets_fall_back_to_the_definition() {
    let cred = json!({"name": "pass", "type": "cred", "value": ""});
    let flow = json!([
        {"id": "s", "type": "subflow", "env": [cred, {"name": "A", "type": "str", "value": "1"}]},
        {"id": "n", "type": "x", "z": "s", "wires": []},
        {"id": "i", "type": "subflow:s", "wires": [], "env": [
            {"name": "A", "type": "str", "value": "2"}, {"name": "A", "type": "str", "value": "3"}]}]);
    let env = environment(flow);
    assert_eq!(env.get("i-n", "A"), Some(Value::from("3")));
    assert_eq!(env.get("i-n", "pass"), Some(Value::from("s's secret")));
}

#[test]
fn what_cannot_be_evaluated_is_a_problem_and_hides_what_is_around() {
    for (kind, value) in
        [("jsonata", "1+2"), ("json", "{"), ("bin", "[300]"), ("num", "a"), ("date", "DD"), ("msg", "")]
    {
        let env = environment(json!([
            {"id": "t", "type": "tab", "env": [{"name": "K", "type": kind, "value": value}]},
            {"id": "n", "type": "x", "z": "t", "wires": []}]));
        assert_eq!(env.get("n", "K"), None, "{kind}");
        let found = env.problems().first().unwrap();
        assert_eq!((found.node.as_str(), found.path.as_str()), ("t", "/env/0/value"), "{kind}");
    }
}

#[test]
fn whole_texts_are_filled_in_at_any_depth_and_the_rest_is_shared() {
    let env = environment(house());
    let properties =
        Arc::new(json!({"a": "${D}", "b": ["$(K)", {"c": "${HOME}", "d": "x${K}"}], "e": "${GONE}", "f": 1}));
    let filled = json!({"a": 7, "b": ["frame", {"c": "/root", "d": "x${K}"}], "e": "${GONE}", "f": 1});
    assert_eq!(*env.fill("i-n", &properties), filled);
    let untouched = Arc::new(json!({"a": "x${K}"}));
    assert!(Arc::ptr_eq(&env.fill("i-n", &untouched), &untouched));
    assert_eq!(substitute("a${D}", |name| env.get("i-n", name), Value::to_text), Value::from("a7"));
}
