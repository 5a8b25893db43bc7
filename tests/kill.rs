//! What a broker acknowledged to a publisher is in the log, however often Tidewire is killed.
//!
//! The broker is a mosquitto that is not killed; Tidewire has a persistent session at it. Fewer rounds than
//! `make fault` (50) run by default. A failing run prints its seed; `FAULT_SEED` repeats its moments.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value as Json, json};
use tidewire_tests::{Flow, Http, Load, Mosquitto, Server, until, until_within};

const RATE: u32 = 500;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Milliseconds between readiness and the kill, from very short to a few seconds.
fn moments(seed: u64, rounds: u64) -> Vec<u64> {
    let mut state = seed | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    (0..rounds).map(|_| 20 + next() % 2_500).collect()
}

fn flow(port: u16) -> Json {
    let connection = json!({"broker": "127.0.0.1", "port": port.to_string(), "clientid": "tidewire-kill",
        "protocolVersion": "4", "keepalive": "60", "cleansession": false});
    let flow = Flow::new()
        .config("broker", "mqtt-broker", connection)
        .mqtt_in("in", "load/#", json!(["store"]))
        .append("store", "thing-load");
    let filter = json!({"stream": "thing-load"});
    let model = |reducer: &str| {
        let mut properties = filter.clone();
        properties["projection"] = json!(reducer);
        properties["reducer"] = json!(reducer);
        properties["property"] = json!("n");
        properties
    };
    flow.node("count", "projector", model("count"), json!([]))
        .node("sum", "projector", model("sum"), json!([]))
        .node("max", "projector", model("max"), json!([]))
        .json()
}

/// How often each number is in the log.
async fn recount(http: &Http) -> BTreeMap<u64, u64> {
    let mut counts = BTreeMap::new();
    for event in http.items("/api/events?stream=thing-load&limit=1000").await {
        *counts.entry(event["data"]["n"].as_u64().unwrap()).or_default() += 1;
    }
    counts
}

async fn model(http: &Http, name: &str) -> Option<u64> {
    let answer = http.get(&format!("/api/projections/{name}/thing-load")).await;
    (answer.status == 200).then(|| answer.json()["value"].as_f64().map(|value| value as u64)).flatten()
}

#[tokio::test]
async fn every_acknowledged_message_is_in_the_log() {
    let (rounds, seed) = (setting("FAULT_ROUNDS", 4), setting("FAULT_SEED", 20_261_124));
    println!("seed {seed}, {rounds} rounds");
    let broker = Mosquitto::start();
    let mut server = Server::with().no_broker().flows(&flow(broker.port)).start().await;

    // The session has to exist before the first message counts.
    until("the subscription", || async {
        (server.http().json("/api/nodes/in").await["status"]["fill"] == "green").then_some(())
    })
    .await;
    let load = Load::start(broker.port, "load/a", RATE).await;
    for (round, moment) in moments(seed, rounds).into_iter().enumerate() {
        tokio::time::sleep(Duration::from_millis(moment)).await;
        server.kill9();
        server.start_again().await;
        println!("round {}: killed after {moment} ms, ready again after {:?}", round + 1, server.startup);
    }
    let sent = load.stop().await;
    assert_eq!(sent.acknowledged.len() as u64, sent.last, "mosquitto acknowledges everything");

    let http = server.http();
    let limit = Duration::from_secs(60 + 2 * rounds);
    until_within(limit, "the last message", || async { recount(&http).await.contains_key(&sent.last).then_some(()) })
        .await;
    let counts = recount(&http).await;
    let lost: Vec<u64> = sent.acknowledged.iter().copied().filter(|n| !counts.contains_key(n)).collect();
    let second_copies: u64 = counts.values().map(|count| count - 1).sum();
    println!("{} messages, {} lost, {second_copies} second copies, {}/s", sent.last, lost.len(), sent.rate());
    assert!(lost.is_empty(), "seed {seed}: lost {lost:?}");
    // Only what was under way at a kill may have been sent again: at most a session's window each time.
    assert!(second_copies <= rounds * 200, "seed {seed}: {second_copies} second copies in {rounds} rounds");

    let (count, sum) = (counts.values().sum::<u64>(), counts.iter().map(|(n, count)| n * count).sum::<u64>());
    for (name, expected) in [("count", count), ("sum", sum), ("max", sent.last)] {
        until(&format!("read model {name} to be {expected}"), || async {
            (model(&http, name).await == Some(expected)).then_some(())
        })
        .await;
    }
    let verified = server.terminate();
    assert!(verified.success(), "SIGTERM ends with {verified}");
    let output = server.command(&["log", "verify"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
