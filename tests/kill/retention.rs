//! Killed while retention drops events that read models were made of: what these say stays what every event ever
//! acknowledged makes of them, also when the index is lost and nothing but snapshots is left.

use std::time::Instant;

use serde_json::{Value as Json, json};
use tidewire_tests::{Flow, Http, Server, flow, until};

use super::{Fate, verify};

const STREAM: &str = "thing-load";
/// So many events the policy leaves.
const KEPT: u64 = 20;
/// So many are appended in a round before it is applied.
const MORE: u64 = 60;
/// Nothing younger than a day is dropped, so the clock goes on by two in each round.
const AHEAD_MS: u64 = 2 * 86_400_000;

/// Read models over a stream of the numbers from 1, and what they say of the first `last` of them.
fn models(last: u64) -> [(&'static str, &'static str, u64); 5] {
    let of_bed = |bed: u64| (1..=last).filter(|n| n % 3 == bed).sum::<u64>();
    [
        ("count", STREAM, last),
        ("sum", STREAM, last * (last + 1) / 2),
        ("first", STREAM, 1),
        ("beds", "bed-1", of_bed(1)),
        ("beds", "bed-2", of_bed(2)),
    ]
}

fn flows() -> Json {
    let model = |name: &str, reducer: &str, key: &str| json!({"projection": name, "reducer": reducer, "property": "n", "stream": STREAM, "key": key});
    let plain = |name: &str| model(name, name, "{{subject}}");
    Flow::new()
        .node("count", "projector", plain("count"), json!([]))
        .node("sum", "projector", plain("sum"), json!([]))
        .node("first", "projector", plain("first"), json!([]))
        .node("beds", "projector", model("beds", "sum", "bed-{{data.bed}}"), json!([]))
        .json()
}

/// Appends numbers until it is refused or there is nobody any more; answers the last one that was acknowledged.
async fn append(http: Http, after: u64, through: u64) -> u64 {
    let http = http.with("content-type", "application/cloudevents+json");
    for n in after + 1..=through {
        let event = json!({"id": format!("load-{n}"), "type": "counted", "subject": STREAM, "expectedversion": n - 1,
            "data": {"n": n, "bed": n % 3}});
        match http.try_send(reqwest::Method::POST, "/api/events", Some(&event)).await {
            Some(answer) => drop(answer.expect(201)),
            None => return n - 1,
        }
    }
    through
}

async fn drop_events(http: Http, round: u64) -> bool {
    let ahead = json!({"logAheadMs": round * AHEAD_MS});
    let put = http.try_send(reqwest::Method::PUT, "/api/test/config", Some(&ahead)).await;
    let Some(_) = put.map(|answer| answer.expect(204)) else { return false };
    let answer = http.try_send(reqwest::Method::POST, "/api/log/compact", Some(&json!({}))).await;
    answer.map(|answer| answer.expect(200)).is_some()
}

/// The last number in the log: every one before it was appended too.
async fn last(http: &Http) -> u64 {
    http.json(&format!("/api/streams/{STREAM}")).await["version"].as_u64().unwrap()
}

/// How many of the read models were begun from a snapshot.
async fn models_are_right(http: &Http, last: u64, told: &str) -> usize {
    let mut begun = 0;
    for (name, key, expected) in models(last) {
        until(&format!("{told}: {name} of {key} to be {expected}"), || async {
            let answer = http.get(&format!("/api/projections/{name}/{key}")).await;
            let value = if answer.status == 200 { answer.json()["value"].as_f64() } else { None };
            (value == Some(expected as f64)).then_some(())
        })
        .await;
        let status = http.json(&format!("/api/projections/{name}/keeping/status")).await;
        assert_eq!(status.get("gap"), None, "{told}: {status}");
        begun += usize::from(status["begun_from"].as_u64().unwrap() > 0);
    }
    begun
}

#[tokio::test]
async fn read_models_keep_what_dropped_events_made_of_them() {
    let mut fate = Fate::new(4);
    let mut server = Server::with().arg("--test-api").start().await;
    flow::deploy(&server.http(), &flows()).await;
    let policies = json!({"policies": [{"id": "few", "stream": STREAM, "maxCount": KEPT}]});
    server.http().put("/api/log/retention", &policies).await.expect(200);
    append(server.http(), 0, MORE).await;
    // How long it takes here, so that the kills fall all over it.
    let began = Instant::now();
    assert!(drop_events(server.http(), 1).await);
    let (usual, mut done, mut from_files) = (began.elapsed(), 0, 0);
    let mut acknowledged = MORE;
    while let Some(round) = fate.next_round() {
        let told = format!("seed {}, round {round}", fate.seed);
        acknowledged = append(server.http(), acknowledged, acknowledged + MORE).await;
        let dropping = tokio::spawn(drop_events(server.http(), round + 1));
        let appending = tokio::spawn(append(server.http(), acknowledged, u64::MAX));
        if fate.below(3) == 0 {
            server.http().post("/api/projections/sum/rebuild", &json!({})).await;
        }
        // Beside appends it takes longer.
        tokio::time::sleep(fate.within(usual * 5)).await;
        server.kill9();
        done += u64::from(dropping.await.unwrap());
        let answered = appending.await.unwrap();
        // Every other time the index is lost with all builds: what is made of events that are gone is in files alone.
        let without_index = round % 2 == 0;
        if without_index {
            std::fs::remove_dir_all(server.data().join("log/sled")).unwrap();
        }
        fate.start_again(&mut server, 3).await;

        let http = server.http();
        acknowledged = last(&http).await;
        assert!((answered..=answered + 1).contains(&acknowledged), "{told}: {answered} were acknowledged");
        let begun = models_are_right(&http, acknowledged, &told).await;
        assert!(begun > 0 || !without_index, "{told}: without the events it begins from a snapshot");
        from_files += usize::from(begun > 0);
        let events = http.items(&format!("/api/events?stream={STREAM}&limit=1000")).await;
        let numbers: Vec<u64> = events.iter().map(|event| event["data"]["n"].as_u64().unwrap()).collect();
        // What was killed half way has not dropped all that it meant to; what is to stay is there.
        let stay: Vec<u64> = (acknowledged - KEPT + 1..=acknowledged).collect();
        assert!(numbers.ends_with(&stay) && numbers[0] > 1 && numbers.is_sorted(), "{told}: {numbers:?}");
    }
    println!(
        "{} rounds, dropping takes {usual:?}: {done} were done before the kill, {from_files} began from snapshots",
        fate.rounds
    );
    verify(&mut server);
}
