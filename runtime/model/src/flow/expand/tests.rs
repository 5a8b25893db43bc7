#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use serde_json::{Value as Json, json};

use super::*;

fn expanded(flow: Json) -> Expanded {
    Expanded::of(&FlowDocument::from_json(flow).unwrap(), &|_| None)
}

/// The wires of all running nodes as `from.port>to`, sorted.
fn wires(expanded: &Expanded) -> Vec<String> {
    let mut wires = Vec::new();
    for node in expanded.running().nodes() {
        for (port, targets) in node.wires().iter().enumerate() {
            wires.extend(targets.iter().map(|target| format!("{}.{port}>{target}", node.id())));
        }
    }
    wires.sort();
    wires
}

fn ids(expanded: &Expanded) -> Vec<&str> {
    expanded.running().nodes().iter().map(|node| node.id().as_str()).collect()
}

/// Doubles what it gets, and keeps count in its status.
fn double() -> Vec<Json> {
    vec![
        json!({"id": "s", "type": "subflow", "name": "Double",
            "in": [{"wires": [{"id": "a"}]}],
            "out": [{"wires": [{"id": "b", "port": 1}]}, {"wires": [{"id": "s", "port": 0}, {"id": "a", "port": 0}]}],
            "status": {"wires": [{"id": "b", "port": 0}, {"id": "s", "port": 0}]}}),
        json!({"id": "a", "type": "x", "z": "s", "g": "frame", "wires": [["b", "elsewhere"]]}),
        json!({"id": "b", "type": "x", "z": "s", "broker": "c", "scope": ["a", "b"], "name": "a",
            "deep": {"a": "a"}, "wires": [[]]}),
        json!({"id": "c", "type": "broker", "z": "s"}),
        json!({"id": "frame", "type": "group", "z": "s", "nodes": ["a"]}),
    ]
}

fn on_a_tab(mut definition: Vec<Json>, more: &[Json]) -> Json {
    definition.push(json!({"id": "t", "type": "tab", "label": "Tab"}));
    definition.push(json!({"id": "i", "type": "subflow:s", "z": "t", "wires": [["one"], ["two", "one"]]}));
    definition.push(json!({"id": "one", "type": "x", "z": "t", "wires": []}));
    definition.push(json!({"id": "two", "type": "x", "z": "t", "wires": []}));
    definition.extend_from_slice(more);
    definition.into()
}

#[test]
fn a_document_without_subflows_is_shared_as_it_is() {
    let document = FlowDocument::from_json(json!([{"id": "a", "type": "x", "wires": []}])).unwrap();
    let expanded = Expanded::of(&document, &|_| None);
    assert!(std::ptr::eq(expanded.running().nodes(), document.nodes()));
}

#[test]
fn an_instance_becomes_its_entry_and_clones_of_all_inside() {
    let expanded = expanded(on_a_tab(double(), &[]));
    assert_eq!(ids(&expanded), ["t", "i", "i:status", "i-a", "i-b", "i-c", "i-frame", "one", "two"]);
    assert_eq!(
        wires(&expanded),
        [
            "i-a.0>i-b",
            "i-a.0>one",
            "i-a.0>two",
            "i-b.0>i:status",
            "i-b.1>one",
            "i.0>i-a",
            "i.0>i:status",
            "i.0>one",
            "i.0>two",
        ]
    );
    let b = expanded.running().get("i-b").unwrap();
    assert_eq!(b.get("broker"), Some(&json!("i-c")));
    assert_eq!(b.get("scope"), Some(&json!(["i-a", "i-b"])));
    assert_eq!((b.name(), b.get("deep")), ("a", Some(&json!({"a": "a"}))));
    assert_eq!(expanded.running().get("i-frame").unwrap().get("nodes"), Some(&json!(["i-a"])));
    assert_eq!(expanded.problems(), []);
}

#[test]
fn what_an_entry_is_and_where_it_stands_can_be_asked() {
    let expanded = expanded(on_a_tab(double(), &[json!({"id": "far", "type": "broker"})]));
    let place = expanded.place("i-a").unwrap();
    assert_eq!((place.flow.as_str(), place.path.as_str()), ("i", "t/i/a"));
    assert_eq!((place.alias, place.groups), (Some("a".into()), vec!["i-frame".into()]));
    assert_eq!(expanded.place("far").unwrap().path, "global/far");
    assert_eq!(expanded.place("t").unwrap().path, "t");
    assert_eq!(expanded.parent_flow("i"), Some("t"));
    assert_eq!(expanded.parent_flow("t"), Some("global"));
    assert_eq!(expanded.parent_flow("global"), None);
    assert_eq!(expanded.instance_of("i-c").unwrap().id().as_str(), "i");
    assert!(expanded.instance_of("one").is_none());
    assert!(matches!(expanded.part("i"), Some(Part::Instance { of }) if of.name() == "Double"));
    assert!(matches!(expanded.part("i:status"), Some(Part::Status { instance }) if instance.as_str() == "i"));
    assert_eq!(expanded.part("i-a"), Some(Part::Entry));
    assert_eq!(expanded.part("a"), None);
}

#[test]
fn a_change_beside_the_document_concerns_clones_and_all_inside() {
    let expanded = expanded(on_a_tab(double(), &[]));
    let concerned = |id: &str| {
        let ids = expanded.concerned_by(&HashSet::from([id.into()]));
        ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(concerned("c"), "i-c");
    assert_eq!(concerned("frame"), "i-a i-frame");
    assert_eq!([concerned("s"), concerned("i")], ["i i:status i-a i-b i-c i-frame"; 2]);
    assert_eq!(concerned("t"), "t i i:status i-a i-b i-c i-frame one two");
}

#[test]
fn subflows_nest_and_outputs_lead_all_the_way_out() {
    let expanded = expanded(json!([
        {"id": "t", "type": "tab"},
        {"id": "i", "type": "subflow:outer", "z": "t", "wires": [["end"]]},
        {"id": "end", "type": "x", "z": "t", "wires": []},
        {"id": "outer", "type": "subflow", "in": [{"wires": [{"id": "n"}]}],
            "out": [{"wires": [{"id": "n", "port": 0}]}]},
        {"id": "n", "type": "subflow:inner", "z": "outer", "wires": []},
        {"id": "inner", "type": "subflow", "in": [{"wires": [{"id": "x"}]}],
            "out": [{"wires": [{"id": "x", "port": 0}]}]},
        {"id": "x", "type": "x", "z": "inner", "wires": []}]));
    assert_eq!(ids(&expanded), ["t", "i", "i-n", "i-n-x", "end"]);
    assert_eq!(wires(&expanded), ["i-n-x.0>end", "i-n.0>i-n-x", "i.0>i-n"]);
    assert_eq!(expanded.place("i-n-x").unwrap().path, "t/i/n/x");
    assert_eq!(expanded.parent_flow("i-n"), Some("i"));
}

#[test]
fn what_is_switched_off_is_not_unfolded() {
    let cases = [
        json!([{"id": "i", "type": "subflow:s", "d": true, "z": "t", "wires": []}, {"id": "t", "type": "tab"}]),
        json!([{"id": "i", "type": "subflow:s", "z": "t", "wires": []},
            {"id": "t", "type": "tab", "disabled": true}]),
        json!([{"id": "i", "type": "subflow:s", "z": "t", "g": "g", "wires": []}, {"id": "t", "type": "tab"},
            {"id": "g", "type": "group", "z": "t", "d": true}]),
    ];
    for case in cases {
        let mut flow = double();
        flow.extend(case.as_array().unwrap().iter().cloned());
        let expanded = expanded(flow.into());
        assert!(expanded.running().is_disabled(expanded.running().get("i").unwrap()));
        assert!(expanded.running().get("i-a").is_none());
    }
    let mut inner_off = double();
    inner_off[4]["d"] = json!(true);
    let expanded = expanded(on_a_tab(inner_off, &[]));
    let disabled = |id: &str| expanded.running().is_disabled(expanded.running().get(id).unwrap());
    assert_eq!(["i-a", "i-b"].map(disabled), [true, false]);
}

#[test]
fn what_cannot_be_unfolded_is_a_problem_of_the_instance_alone() {
    let cases: [(&str, Json); 3] = [
        ("is not in the file", json!([])),
        ("contains itself", json!([{"id": "s", "type": "subflow"}, {"id": "a", "type": "subflow:s", "z": "s"}])),
        (
            "contains itself",
            json!([{"id": "s", "type": "subflow"}, {"id": "a", "type": "subflow:r", "z": "s"},
            {"id": "r", "type": "subflow"}, {"id": "b", "type": "subflow:s", "z": "r"}]),
        ),
    ];
    for (text, definition) in cases {
        let expanded = expanded(on_a_tab(definition.as_array().unwrap().clone(), &[]));
        assert_eq!(ids(&expanded), ["t", "i", "one", "two"]);
        assert_eq!(wires(&expanded), [""; 0]);
        assert!(matches!(expanded.part("i"), Some(Part::Broken(problem)) if problem.text.contains(text)));
    }
}

#[test]
fn subflows_that_would_fill_the_memory_are_refused() {
    let mut flow = vec![json!({"id": "i", "type": "subflow:s0", "wires": []})];
    for level in 0..20 {
        flow.push(json!({"id": format!("s{level}"), "type": "subflow"}));
        let inside = |n: usize| {
            json!({"id": format!("{level}.{n}"), "type": format!("subflow:s{}", level + 1),
            "z": format!("s{level}"), "wires": []})
        };
        flow.extend((0..10).map(inside));
    }
    flow.push(json!({"id": "s20", "type": "subflow"}));
    let expanded = expanded(flow.into());
    assert!(expanded.running().nodes().len() <= 110_000);
    assert!(expanded.problems()[0].text.contains("unfold to more than"));
}

#[test]
fn ids_that_clash_are_told() {
    let expanded = expanded(on_a_tab(double(), &[json!({"id": "i-a", "type": "mine", "wires": []})]));
    assert_eq!(expanded.running().get("i-a").unwrap().type_name(), "mine");
    assert!(expanded.problems()[0].text.contains("\"i-a\""));
}

/// Random nested subflows, walked at random: a message that takes the wires of the running document ends where one does
/// that follows the source, definition by definition.
#[test]
fn running_wires_lead_where_the_source_says() {
    let mut arrivals = 0;
    for seed in 0..300 {
        let flow = random::flow(seed);
        let document = FlowDocument::from_json(flow).unwrap();
        let expanded = Expanded::of(&document, &|_| None);
        let (mut running, mut said) = (random::ends(expanded.running()), random::ends_by_hand(&document));
        running.sort();
        said.sort();
        assert_eq!(running, said, "seed {seed}");
        assert_eq!(expanded.problems(), [], "seed {seed}");
        arrivals += said.iter().filter(|id| id.contains('-')).count();
    }
    assert!(arrivals > 3_000, "{arrivals} arrivals inside of subflows");
}

/// Flows of three levels of subflows in which wires only lead forward, so that every walk ends.
mod random {
    use super::*;

    struct Random(u64);

    impl Random {
        fn below(&mut self, limit: usize) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(self.0 >> 33).unwrap() % limit
        }

        fn some<T: Clone>(&mut self, of: &[T]) -> Vec<T> {
            of.iter().filter(|_| self.below(3) == 0).cloned().collect()
        }
    }

    pub fn flow(seed: u64) -> Json {
        let mut random = Random(seed);
        let mut flow = vec![json!({"id": "start", "type": "x", "z": "s0", "wires": [["s0.0", "s0.1"]]})];
        for level in 0..3 {
            let name = format!("s{level}");
            let ids: Vec<String> = (0..4).map(|n| format!("{name}.{n}")).collect();
            for (n, id) in ids.iter().enumerate() {
                let later = &ids[n + 1..];
                let nested = level < 2 && random.below(2) == 0;
                let kind = if nested { format!("subflow:s{}", level + 1) } else { "x".to_owned() };
                flow.push(json!({"id": id, "type": kind, "z": name,
                    "wires": [random.some(later), random.some(later)]}));
            }
            let mut end = |n: usize| {
                let taps: Vec<_> = random.some(&ids).iter().map(|id| json!({"id": id, "port": n % 2})).collect();
                let straight = (random.below(4) == 0).then(|| json!({"id": name, "port": 0}));
                json!({"wires": taps.into_iter().chain(straight).collect::<Vec<_>>()})
            };
            let (one, two) = (end(0), end(1));
            if level > 0 {
                let entry: Vec<_> = random.some(&ids).iter().map(|id| json!({"id": id})).collect();
                flow.push(json!({"id": name, "type": "subflow", "in": [{"wires": entry}], "out": [one, two]}));
            } else {
                flow.push(json!({"id": name, "type": "tab"}));
            }
        }
        flow.into()
    }

    /// Where a message sent by `start` on output 0 arrives, with every plain node sending on all outputs.
    pub fn ends(running: &FlowDocument) -> Vec<String> {
        let mut arrived = Vec::new();
        let mut going: Vec<NodeId> = running.get("start").unwrap().wires().concat();
        while let Some(id) = going.pop() {
            let node = running.get(id.as_str()).unwrap();
            if node.definition().is_none() {
                arrived.push(id.to_string());
            }
            going.extend(node.wires().concat());
        }
        arrived
    }

    pub fn ends_by_hand(source: &FlowDocument) -> Vec<String> {
        let mut arrived = Vec::new();
        for target in source.get("start").unwrap().wires().concat() {
            arrive(source, &[], target.as_str(), &mut arrived);
        }
        arrived
    }

    /// A message arrives at `id`, which stands in the innermost of these instances.
    fn arrive(source: &FlowDocument, inside: &[&str], id: &str, arrived: &mut Vec<String>) {
        let node = source.get(id).unwrap();
        let Some(definition) = node.definition() else {
            arrived.push(inside.iter().chain(&[id]).copied().collect::<Vec<_>>().join("-"));
            let outputs = node.wires().len();
            (0..outputs).for_each(|port| leave(source, inside, (id, port), arrived));
            return;
        };
        let within: Vec<&str> = inside.iter().copied().chain([id]).collect();
        for entry in source.get(definition).unwrap().get("in").unwrap()[0]["wires"].as_array().unwrap() {
            arrive(source, &within, entry["id"].as_str().unwrap(), arrived);
        }
        leave(source, &within, (definition, 0), arrived);
    }

    /// A message leaves an output of `from` in the innermost instance: along the wires there, and out of the instance.
    fn leave(source: &FlowDocument, inside: &[&str], (from, port): (&str, usize), arrived: &mut Vec<String>) {
        let node = source.get(from).unwrap();
        if node.kind() == NodeKind::Node {
            for target in node.wires().get(port).into_iter().flatten() {
                arrive(source, inside, target.as_str(), arrived);
            }
        }
        let Some((instance, outside)) = inside.split_last() else { return };
        let definition = source.get(source.get(instance).unwrap().definition().unwrap()).unwrap();
        for (out, end) in definition.get("out").unwrap().as_array().unwrap().iter().enumerate() {
            for tap in end["wires"].as_array().unwrap() {
                if tap["id"] == from && tap["port"] == port {
                    leave(source, outside, (instance, out), arrived);
                }
            }
        }
    }
}
