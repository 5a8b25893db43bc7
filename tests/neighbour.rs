//! A flow does its work, deploys go through and pages are answered, whatever stands beside it: a script that never ends, a
//! subscriber and a watcher that never read, a node that fails on every message.

use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};
use tidewire_tests::{Flow, Load, Server, Socket, flow, mqtt, until, until_within};

const RATE: u32 = 1_000;
const SECONDS: u64 = 5;

/// `in` feeds `store`, and each of the bad ones.
fn document(port: u16, round: u64) -> Json {
    let long = json!([{"t": "set", "p": "payload", "pt": "msg", "to": "x".repeat(2_000), "tot": "str"}]);
    let endless = json!({"projection": "endless", "reducer": "script", "category": "thing",
        "script": "fn apply(state, event) { let i = 0; while true { i += 1; } }"});
    Flow::new()
        .broker(port)
        .mqtt_in("in", "load/#", json!(["store", "fails", "long"]))
        .append("store", "thing-good")
        .node("endless", "projector", endless, json!([]))
        .node("fails", "rule", json!({"expression": "abs(payload)"}), json!([[], []]))
        .node("long", "change", json!({ "rules": long }), json!(["out"]))
        .node("out", "mqtt out", json!({"topic": "out/x", "qos": "0", "retain": "", "broker": "broker"}), json!([]))
        .node("other", "change", json!({"rules": [], "info": "", "round": round}), json!([[]]))
        .json()
}

#[tokio::test]
async fn bad_neighbours_hold_up_nobody_else() {
    let server = Server::with().start().await;
    let http = server.http();
    flow::deploy(&http, &document(server.mqtt_port, 0)).await;
    until("the subscription", || async {
        (http.json("/api/nodes/in").await["status"]["fill"] == "green").then_some(())
    })
    .await;
    let _deaf = mqtt::deaf(server.mqtt_port, "deaf", "out/#").await;
    let _watcher = Socket::open(&server, "/api/taps?nodes=in,store,long").await;

    let load = Load::start(server.mqtt_port, "load/a", RATE).await;
    let (began, mut answers, mut deploys) = (Instant::now(), Vec::new(), Vec::new());
    for round in 1.. {
        for path in ["/flows", "/api/nodes/store", "/readyz", "/api/node-types"] {
            let asked = Instant::now();
            http.get(path).await.expect(200);
            answers.push(asked.elapsed());
        }
        let asked = Instant::now();
        flow::deploy_changes(&http, &document(server.mqtt_port, round)).await;
        deploys.push(asked.elapsed());
        if began.elapsed() > Duration::from_secs(SECONDS) {
            break;
        }
    }
    let sent = load.stop().await;
    for (what, times) in [("answers", &mut answers), ("deploys", &mut deploys)] {
        times.sort_unstable();
        let at = |part: usize| times[(times.len() - 1) * part / 100];
        println!(
            "{} {what}: half within {:?}, 99 % within {:?}, all within {:?}",
            times.len(),
            at(50),
            at(99),
            at(100)
        );
    }
    println!("{} messages at {}/s", sent.last, sent.rate());
    // Nobody waits for a bad neighbour; how long exactly is measured, not tested: the machine may be busy.
    assert!(answers.iter().chain(&deploys).all(|took| *took < Duration::from_secs(5)), "{answers:?} {deploys:?}");

    assert_eq!(sent.acknowledged.len() as u64, sent.last);
    until_within(Duration::from_secs(60), "every message to be stored", || async {
        let head = http.get("/api/streams/thing-good").await;
        (head.status == 200 && head.json()["version"].as_u64() >= Some(sent.last)).then_some(())
    })
    .await;
    let events = http.items("/api/events?stream=thing-good&limit=1000").await;
    let numbers: Vec<u64> = events.iter().map(|event| event["data"]["n"].as_u64().unwrap()).collect();
    let copies = |n: &u64| numbers.iter().filter(|other| *other == n).count();
    let lost: Vec<u64> = (1..=sent.last).filter(|n| copies(n) == 0).collect();
    let doubled: Vec<u64> = (1..=sent.last).filter(|n| copies(n) > 1).collect();
    assert!(lost.is_empty() && doubled.is_empty(), "lost: {lost:?}, doubled: {doubled:?}");
    let after: Vec<&[u64]> = numbers.windows(2).filter(|pair| pair[0] > pair[1]).collect();
    assert!(after.is_empty(), "out of order: {after:?}");
}
