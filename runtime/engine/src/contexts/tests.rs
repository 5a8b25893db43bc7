#![allow(clippy::unwrap_used)]
use super::*;
use serde_json::json;
use tidewire_log::MemoryLog;
use tidewire_model::flow::FlowDocument;

use crate::clock::SystemClock;
use crate::log_handle::LogHandle;

struct World {
    log: Arc<LogHandle>,
    contexts: Arc<Contexts>,
}

impl World {
    async fn on(log: Arc<LogHandle>) -> World {
        let keeper = Keeper::new(log.clone(), Arc::new(SystemClock), &tokio::runtime::Handle::current());
        let contexts = Arc::new(Contexts::new(keeper));
        contexts.load(log.as_ref()).await.unwrap();
        World { log, contexts }
    }

    async fn new() -> World {
        World::on(Arc::new(LogHandle::new(Arc::new(MemoryLog::new())))).await
    }

    /// The same log, another start.
    async fn again(&self) -> World {
        self.contexts.keeper.flush().await;
        World::on(self.log.clone()).await
    }

    fn flows(&self, flows: serde_json::Value) {
        let document = FlowDocument::from_json(flows).unwrap();
        self.contexts.set_flows(&Expanded::of(&document, &|_| None));
        self.contexts.sweep();
    }

    fn of(&self, node: &str, flow: &str) -> NodeContext {
        NodeContext { contexts: self.contexts.clone(), node: node.into(), flow: flow.into() }
    }
}

fn set(context: &NodeContext, scope: ContextScope, store: Option<&str>, key: &str, value: i64) {
    context.set(scope, store, key, Value::Int(value)).unwrap();
}

fn get(context: &NodeContext, scope: ContextScope, store: Option<&str>, key: &str) -> Value {
    context.get(scope, store, key).unwrap()
}

use ContextScope::{Flow, Global, Node};

fn two_tabs() -> serde_json::Value {
    json!([{"id": "t1", "type": "tab"}, {"id": "t2", "type": "tab"},
        {"id": "a", "type": "x", "z": "t1"}, {"id": "b", "type": "x", "z": "t2", "forget": true}])
}

#[tokio::test]
async fn durable_values_are_there_after_a_restart_and_others_are_not() {
    let world = World::new().await;
    world.flows(two_tabs());
    let a = world.of("a", "t1");
    for scope in [Node, Flow, Global] {
        set(&a, scope, None, "kept.deep", 1);
        set(&a, scope, None, "gone", 2);
        a.set(scope, None, "gone", Value::Undefined).unwrap();
        set(&a, scope, Some("memory"), "kept", 3);
    }
    let bytes = Value::Bytes(vec![0, 255].into());
    a.set(Global, None, "bytes", bytes.clone()).unwrap();
    let again = world.again().await;
    again.flows(two_tabs());
    let a = again.of("a", "t1");
    for scope in [Node, Flow, Global] {
        assert_eq!(get(&a, scope, None, "kept.deep"), Value::Int(1));
        assert_eq!(get(&a, scope, None, "gone"), Value::Undefined);
        assert_eq!(get(&a, scope, Some("memory"), "kept"), Value::Undefined);
    }
    assert_eq!(get(&a, Global, None, "bytes"), bytes);
    assert_eq!(a.keys(Node, None), ["kept"]);
    assert_eq!(get(&again.of("b", "t2"), Flow, None, "kept"), Value::Undefined);
}

#[tokio::test]
async fn values_go_with_their_node_and_flow_and_global_ones_stay() {
    let world = World::new().await;
    world.flows(two_tabs());
    let (a, b) = (world.of("a", "t1"), world.of("b", "t2"));
    for context in [&a, &b] {
        for scope in [Node, Flow, Global] {
            set(context, scope, None, "x", 1);
        }
    }
    world.flows(json!([{"id": "t2", "type": "tab"}, {"id": "b", "type": "x", "z": "t2", "forget": true}]));
    assert_eq!(get(&a, Node, None, "x"), Value::Undefined);
    assert_eq!(get(&a, Flow, None, "x"), Value::Undefined);
    assert_eq!(get(&b, Node, None, "x"), Value::Int(1));
    let again = world.again().await;
    again.flows(two_tabs());
    let (a, b) = (again.of("a", "t1"), again.of("b", "t2"));
    assert_eq!(get(&a, Node, None, "x"), Value::Undefined);
    assert_eq!(get(&a, Flow, None, "x"), Value::Undefined);
    assert_eq!(get(&b, Flow, None, "x"), Value::Int(1));
    assert_eq!(get(&b, Node, None, "x"), Value::Undefined, "a node that forgets");
    assert_eq!(get(&b, Global, None, "x"), Value::Int(1));
}

#[tokio::test]
async fn the_store_is_named_beside_the_key_or_in_it_and_an_unknown_one_is_the_default() {
    let world = World::new().await;
    let node = world.of("a", "t1");
    set(&node, Global, None, "#:(memory)::x", 1);
    assert_eq!(get(&node, Global, Some("memory"), "x"), Value::Int(1));
    assert_eq!(get(&node, Global, None, "x"), Value::Undefined);
    set(&node, Global, Some("nowhere"), "x", 2);
    assert_eq!(get(&node, Global, Some("default"), "x"), Value::Int(2));
    assert_eq!(node.get(Global, None, "").unwrap_err(), ContextError::InvalidKey);
    assert_eq!(node.set(Global, None, "a..b", Value::Null).unwrap_err().to_string(), "Invalid context key");
}

#[tokio::test]
async fn parent_leads_to_the_flow_around_a_subflow_and_above_all_to_the_global_values() {
    let world = World::new().await;
    world.flows(json!([{"id": "t", "type": "tab"}, {"id": "s", "type": "subflow", "in": [], "out": []},
        {"id": "inner", "type": "x", "z": "s"}, {"id": "i", "type": "subflow:s", "z": "t"}]));
    let (inner, outer) = (world.of("i-inner", "i"), world.of("n", "t"));
    set(&inner, Flow, None, "$parent.x", 1);
    set(&inner, Flow, None, "$parent.$parent.y", 2);
    set(&inner, Flow, None, "own", 3);
    assert_eq!(get(&outer, Flow, None, "x"), Value::Int(1));
    assert_eq!(get(&outer, Global, None, "y"), Value::Int(2));
    assert_eq!(get(&inner, Flow, None, "$parent.own"), Value::Undefined);
    assert_eq!(get(&inner, Flow, None, "$parent.$parent.$parent.y"), Value::Undefined);
    let of_instance = world.contexts.owner(Node, "i").unwrap();
    assert_eq!(world.contexts.get(&of_instance, None, "own").unwrap(), Value::Int(3));
    assert_eq!(world.contexts.owner(Node, "nobody"), None);
}

#[tokio::test]
async fn a_store_that_is_full_says_so_and_takes_more_when_something_goes() {
    let world = World::new().await;
    world.contexts.configure(ContextSettings::default().with_bytes_max(4_096));
    let node = world.of("a", "t");
    node.set(Global, None, "big", Value::string("x".repeat(3_000))).unwrap();
    let refused = node.set(Global, None, "more", Value::string("x".repeat(2_000))).unwrap_err().to_string();
    assert!(refused.starts_with("the context store is full") && refused.contains("--context-max"), "{refused}");
    node.set(Global, None, "big", Value::string("y".repeat(3_500))).unwrap();
    node.set(Global, None, "big", Value::Undefined).unwrap();
    node.set(Global, None, "more", Value::string("x".repeat(2_000))).unwrap();
    node.set(Global, Some("memory"), "other", Value::string("x".repeat(3_000))).unwrap();
}

#[tokio::test]
async fn a_value_that_changes_often_is_written_as_it_is_last() {
    let world = World::new().await;
    let node = world.of("a", "t");
    for number in 0..10_000 {
        set(&node, Global, None, "count", number);
    }
    let again = world.again().await;
    assert_eq!(get(&again.of("a", "t"), Global, None, "count"), Value::Int(9_999));
    again.contexts.reopen(None);
    assert_eq!(get(&again.again().await.of("a", "t"), Global, None, "count"), Value::Undefined);
}
