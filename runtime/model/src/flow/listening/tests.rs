#![allow(clippy::unwrap_used)]

use serde_json::{Value as Json, json};

use super::*;
use crate::flow::FlowDocument;

/// Test entries say what they are in their type: `errors`, `statuses`, `completions`, with Node-RED's `scope`.
fn listens(node: &FlowNode) -> Option<Listens> {
    let what = match node.type_name() {
        "errors" => What::Errors,
        "statuses" => What::Statuses,
        "completions" => What::Completions,
        _ => return None,
    };
    let scope = match node.get("scope") {
        Some(Json::Array(ids)) => Scope::Nodes(ids.iter().filter_map(Json::as_str).map(NodeId::from).collect()),
        Some(Json::String(_)) => Scope::Group,
        _ => Scope::Flow,
    };
    Some(Listens { what, scope, uncaught: node.get("uncaught") == Some(&json!(true)) })
}

fn listeners(flow: &Json) -> Listeners {
    let document = FlowDocument::from_json(flow.clone()).unwrap();
    Listeners::of(&Expanded::of(&document, &|_| None), &listens)
}

fn told(flow: &Json, node: &str, what: What) -> String {
    let told = listeners(flow).of_node(node, what);
    told.iter().map(NodeId::as_str).collect::<Vec<_>>().join(" ")
}

fn node(id: &str, kind: &str, more: &Json) -> Json {
    let mut node = json!({"id": id, "type": kind, "z": "t", "wires": []});
    let properties = node.as_object_mut().unwrap();
    properties.extend(more.as_object().unwrap().iter().map(|(key, value)| (key.clone(), value.clone())));
    node
}

#[test]
fn scopes_and_groups_decide_who_hears_and_in_which_order() {
    let groups = [
        json!({"id": "t", "type": "tab"}),
        json!({"id": "outer", "type": "group", "z": "t"}),
        json!({"id": "inner", "type": "group", "z": "t", "g": "outer"}),
        json!({"id": "side", "type": "group", "z": "t"}),
        node("in", "x", &json!({"g": "inner"})),
        node("out", "x", &json!({})),
    ];
    let all = json!({});
    let group = |g: &str| json!({"g": g, "scope": "group"});
    let uncaught = |g: &str| json!({"g": g, "uncaught": true});
    let ids = |ids: &[&str]| json!({"scope": ids});
    // Listeners, who hears the node inside both groups, who hears the one outside.
    type Case = (Vec<(&'static str, Json)>, &'static str, &'static str);
    let cases: Vec<Case> = vec![
        (vec![("a", all.clone()), ("b", ids(&["in"])), ("c", ids(&["out"]))], "b a", "c a"),
        (vec![("a", group("outer")), ("b", group("inner")), ("c", group("side"))], "b a", ""),
        (vec![("a", all.clone()), ("b", json!({"g": "inner"}))], "b a", "a b"),
        (vec![("a", json!({"scope": "group"}))], "a", "a"),
        (vec![("a", uncaught("side")), ("b", all.clone())], "b", "b"),
        (vec![("a", uncaught("side")), ("b", group("side")), ("c", uncaught("outer"))], "c a", "a c"),
        // The nearest takes it, although it wants only what nobody took; the next normal one gets it as well.
        (vec![("a", uncaught("inner")), ("b", all.clone())], "a b", "b"),
        (vec![("a", json!({"d": true})), ("b", json!({"z": "other"}))], "", ""),
    ];
    for (catches, inside, outside) in cases {
        let mut flow = groups.to_vec();
        flow.extend(catches.iter().map(|(id, more)| node(id, "errors", more)));
        let flow = Json::Array(flow);
        assert_eq!(
            (&*told(&flow, "in", What::Errors), &*told(&flow, "out", What::Errors)),
            (inside, outside),
            "{flow}"
        );
    }
}

/// An instance `i` of a subflow in which `n` reports, and an instance `i-deep` of another one in which `m` does.
fn nested(inner: &[Json], outer: &[Json]) -> Json {
    let mut flow = vec![
        json!({"id": "t", "type": "tab"}),
        node("i", "subflow:s", &json!({})),
        json!({"id": "s", "type": "subflow"}),
        node("n", "x", &json!({"z": "s"})),
        node("deep", "subflow:r", &json!({"z": "s"})),
        json!({"id": "r", "type": "subflow"}),
        node("m", "x", &json!({"z": "r"})),
    ];
    flow.extend_from_slice(inner);
    flow.extend_from_slice(outer);
    flow.into()
}

#[test]
fn what_nobody_takes_inside_a_subflow_goes_out_in_the_name_of_the_instance() {
    for (what, kind) in [(What::Errors, "errors"), (What::Statuses, "statuses")] {
        let at = |z: &str, scope: &Json| node(&format!("at-{z}"), kind, &json!({"z": z, "scope": scope}));
        let outside = at("t", &json!(["i"]));
        let flow = nested(&[], std::slice::from_ref(&outside));
        assert_eq!([told(&flow, "i-n", what), told(&flow, "i-deep-m", what)], ["at-t", "at-t"]);
        let flow = nested(&[at("s", &json!(["deep"]))], std::slice::from_ref(&outside));
        assert_eq!([told(&flow, "i-n", what), told(&flow, "i-deep-m", what)], ["at-t", "i-at-s"]);
        let flow = nested(&[at("r", &Json::Null)], &[outside]);
        assert_eq!([told(&flow, "i-deep-m", what), told(&flow, "i", what)], ["i-deep-at-r", "at-t"]);
    }
}

#[test]
fn a_status_output_keeps_inner_statuses_in() {
    let mut flow = nested(&[], &[node("l", "statuses", &json!({})), node("c", "errors", &json!({}))]);
    let definition = flow.as_array_mut().unwrap().iter_mut().find(|node| node.get("id") == Some(&json!("s"))).unwrap();
    definition.as_object_mut().unwrap().insert("status".into(), json!({"wires": []}));
    assert_eq!([told(&flow, "i-n", What::Statuses), told(&flow, "i", What::Statuses)], ["", "l"]);
    assert_eq!(told(&flow, "i-n", What::Errors), "c");
}

#[test]
fn completions_stay_in_their_flow_and_instances_have_none() {
    let complete = |z: &str, scope: &[&str]| node(&format!("at-{z}"), "completions", &json!({"z": z, "scope": scope}));
    let flow = nested(&[complete("s", &["n", "deep"])], &[complete("t", &["i"])]);
    let nodes = ["i", "i-n", "i-deep", "i-deep-m"];
    assert_eq!(nodes.map(|node| told(&flow, node, What::Completions)), ["", "i-at-s", "", ""]);
}

#[test]
fn a_listener_does_not_hear_what_it_feeds() {
    let flow = json!([
        node("a", "x", &json!({})),
        node("b", "x", &json!({})),
        node("done", "completions", &json!({"scope": ["a", "b"], "wires": [["b"]]})),
        node("status", "statuses", &json!({"scope": ["a", "b"], "wires": [["b"]]})),
        node("catch", "errors", &json!({"scope": ["a", "b"], "wires": [["b"]]}))
    ]);
    assert_eq!([told(&flow, "a", What::Completions), told(&flow, "b", What::Completions)], ["done", ""]);
    assert_eq!([told(&flow, "a", What::Statuses), told(&flow, "b", What::Statuses)], ["status", ""]);
    assert_eq!(told(&flow, "b", What::Errors), "catch");
}

#[test]
fn a_config_node_of_no_flow_is_heard_where_its_users_are() {
    let mut flow = nested(&[], &[node("here", "errors", &json!({}))]);
    let more = json!([
        {"id": "c", "type": "broker", "tls": "deeper"}, {"id": "deeper", "type": "tls"},
        node("u", "x", &json!({"broker": "c"})), node("v", "x", &json!({"broker": "c"})),
        node("far", "x", &json!({"broker": "c", "z": "other"})),
        node("there", "errors", &json!({"z": "other", "scope": ["far"]}))]);
    flow.as_array_mut().unwrap().extend(more.as_array().unwrap().iter().cloned());
    assert_eq!(told(&flow, "c", What::Errors), "here there");
    assert_eq!(told(&flow, "deeper", What::Errors), "here there");
}
