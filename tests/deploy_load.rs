//! 200 deploys while 1,000 messages a second flow: nodes changed, wires moved, nodes put in and taken out. None lost, none
//! doubled, and those of one way in their order.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use tidewire_tests::{Flow, Http, Load, Server, flow, until, until_within};

const RATE: u32 = 1_000;
const DEPLOYS: u64 = 200;

/// Three ways of every message:
/// - through `mark`, whose configuration is another one in each deploy, into `all`;
/// - through `gate`, whose wire goes to `left` and to `right` in turn;
/// - through `bridge`, which stands in the way in every other deploy, into `end`.
fn document(port: u16, deploy: u64) -> Json {
    let odd = deploy % 2 == 1;
    let rules = json!([{"t": "set", "p": "payload.deploy", "pt": "msg", "to": deploy.to_string(), "tot": "num"}]);
    let flow = Flow::new()
        .broker(port)
        .mqtt_in("in", "load/#", json!(["mark", "gate", "before"]))
        .node("mark", "change", json!({ "rules": rules }), json!(["all"]))
        .append("all", "thing-all")
        .node("gate", "junction", json!({}), json!([if odd { "left" } else { "right" }]))
        .append("left", "thing-left")
        .append("right", "thing-right")
        .node("before", "junction", json!({}), json!([if odd { "bridge" } else { "end" }]))
        .append("end", "thing-end");
    let flow = if odd { flow.node("bridge", "junction", json!({}), json!(["end"])) } else { flow };
    flow.json()
}

async fn events(http: &Http, stream: &str) -> Vec<Json> {
    let events = http.items(&format!("/api/events?stream=thing-{stream}&limit=1000")).await;
    events.into_iter().map(|event| event["data"].clone()).collect()
}

fn numbers(events: &[Json]) -> Vec<u64> {
    events.iter().map(|data| data["n"].as_u64().unwrap()).collect()
}

/// Every number from 1 to `sent` once.
fn each_once(what: &str, sent: u64, numbers: &[u64]) {
    let mut copies: BTreeMap<u64, u64> = BTreeMap::new();
    numbers.iter().for_each(|n| *copies.entry(*n).or_default() += 1);
    let lost: Vec<u64> = (1..=sent).filter(|n| !copies.contains_key(n)).collect();
    let doubled: Vec<&u64> = copies.iter().filter(|(_, count)| **count > 1).map(|(n, _)| n).collect();
    assert!(lost.is_empty(), "{what}: {} lost: {lost:?}", lost.len());
    assert!(doubled.is_empty(), "{what}: {} doubled: {doubled:?}", doubled.len());
}

#[tokio::test]
async fn two_hundred_deploys_lose_and_double_nothing() {
    let server = Server::with().start().await;
    let http = server.http();
    let port = server.mqtt_port;
    flow::deploy(&http, &document(port, 0)).await;
    until("the subscription", || async {
        (http.json("/api/nodes/in").await["status"]["fill"] == "green").then_some(())
    })
    .await;
    let load = Load::start(port, "load/a", RATE).await;
    let mut slowest = Duration::ZERO;
    for deploy in 1..=DEPLOYS {
        load.more(20).await;
        let began = Instant::now();
        flow::deploy_changes(&http, &document(port, deploy)).await;
        slowest = slowest.max(began.elapsed());
    }
    let sent = load.stop().await;
    println!("{DEPLOYS} deploys, the slowest in {slowest:?}, {} messages at {}/s", sent.last, sent.rate());
    assert_eq!(sent.acknowledged.len() as u64, sent.last);

    until_within(Duration::from_secs(120), "every message three times", || async {
        let mut stored = 0;
        for stream in ["all", "left", "right", "end"] {
            let head = http.get(&format!("/api/streams/thing-{stream}")).await;
            stored += if head.status == 200 { head.json()["version"].as_u64().unwrap() } else { 0 };
        }
        (stored >= 3 * sent.last).then_some(())
    })
    .await;
    let all = events(&http, "all").await;
    each_once("changed node", sent.last, &numbers(&all));
    assert!(numbers(&all).is_sorted(), "a changed node keeps the order");
    let deploys: Vec<u64> = all.iter().map(|data| data["deploy"].as_u64().unwrap()).collect();
    assert!(deploys.is_sorted(), "no message met an older configuration than the one before it");
    let (left, right) = (numbers(&events(&http, "left").await), numbers(&events(&http, "right").await));
    each_once("moved wire", sent.last, &[left.clone(), right.clone()].concat());
    assert!(left.is_sorted() && right.is_sorted(), "a moved wire keeps the order of each way");
    assert!(!left.is_empty() && !right.is_empty(), "both ways were used");
    each_once("node put in and taken out", sent.last, &numbers(&events(&http, "end").await));
}
