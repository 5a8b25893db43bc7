//! Tidewire is killed (`kill -9`) at any moment, also while it starts: what it promised before holds afterwards.
//!
//! `FAULT_ROUNDS` says how often (`make fault`: 200; fewer in `make test`). A failing run prints its seed; `FAULT_SEED`
//! repeats its moments.

mod broker;
mod deploy;
mod erasing;
mod mosquitto;
mod retention;
mod session;

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value as Json, json};
use tidewire_tests::{Flow, Http, Server, until};

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// When to kill, round by round.
struct Fate {
    rounds: u64,
    round: u64,
    seed: u64,
    state: u64,
}

impl Fate {
    /// `rounds` unless `FAULT_ROUNDS` says otherwise.
    fn new(rounds: u64) -> Fate {
        let (rounds, seed) = (setting("FAULT_ROUNDS", rounds), setting("FAULT_SEED", 20_261_124));
        println!("seed {seed}, {rounds} rounds");
        Fate { rounds, round: 0, seed, state: seed | 1 }
    }

    fn next_round(&mut self) -> Option<u64> {
        self.round += 1;
        (self.round <= self.rounds).then_some(self.round)
    }

    /// A number below `limit` (xorshift).
    fn below(&mut self, limit: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state % limit.max(1)
    }

    fn within(&mut self, limit: Duration) -> Duration {
        Duration::from_micros(self.below(limit.as_micros() as u64))
    }

    /// Starts it again after a kill; one time in so many it is killed once more while it starts. Says whether it was.
    async fn start_again(&mut self, server: &mut Server, one_in: u64) -> bool {
        let again = self.below(one_in) == 0;
        if again {
            server.spawn_again();
            tokio::time::sleep(self.within(Duration::from_millis(400))).await;
            server.kill9();
        }
        server.start_again().await;
        again
    }

    /// Lets it run for a while, kills it, and starts it again; one time in four it is killed once more while it starts.
    async fn strike(&mut self, server: &mut Server) {
        let moment = Duration::from_millis(20) + self.within(Duration::from_millis(1_200));
        tokio::time::sleep(moment).await;
        server.kill9();
        let during = if self.start_again(server, 4).await { ", and once more while it started" } else { "" };
        println!("round {}: killed after {moment:?}{during}, ready again after {:?}", self.round, server.startup);
    }
}

/// `load/#` into a stream, or several if its name is a template; each is counted, summed up, and its largest number kept.
fn ingest(flow: Flow, stream: &str) -> Json {
    let model =
        |reducer: &str| json!({"projection": reducer, "reducer": reducer, "property": "n", "stream": "thing-*"});
    flow.mqtt_in("in", "load/#", json!(["store"]))
        .append("store", stream)
        .node("count", "projector", model("count"), json!([]))
        .node("sum", "projector", model("sum"), json!([]))
        .node("max", "projector", model("max"), json!([]))
        .json()
}

async fn subscribed(http: &Http) {
    until("the subscription", || async {
        (http.json("/api/nodes/in").await["status"]["fill"] == "green").then_some(())
    })
    .await;
}

/// How often each number is in a stream.
struct Tally {
    stream: String,
    copies: BTreeMap<u64, u64>,
    /// The numbers in the order of the log.
    numbers: Vec<u64>,
}

impl Tally {
    async fn of(http: &Http, stream: &str) -> Tally {
        let events = http.items(&format!("/api/events?stream={stream}&limit=1000")).await;
        let numbers: Vec<u64> = events.iter().map(|event| event["data"]["n"].as_u64().unwrap()).collect();
        let mut copies = BTreeMap::new();
        numbers.iter().for_each(|n| *copies.entry(*n).or_default() += 1);
        Tally { stream: stream.to_owned(), copies, numbers }
    }

    /// Waits until all numbers from 1 to `last` are there.
    async fn complete(http: &Http, stream: &str, last: u64, patience: Duration) -> Tally {
        let began = std::time::Instant::now();
        loop {
            let tally = Tally::of(http, stream).await;
            let lost: Vec<u64> = (1..=last).filter(|n| !tally.copies.contains_key(n)).collect();
            if lost.is_empty() {
                return tally;
            }
            let count = lost.len();
            assert!(began.elapsed() < patience, "{stream}: {count} of {last} acknowledged messages are lost: {lost:?}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    fn doubled(&self) -> Vec<u64> {
        self.copies.iter().filter(|(_, copies)| **copies > 1).map(|(n, _)| *n).collect()
    }

    /// Read models that were killed on the way say the same as the log.
    async fn matches_the_models(&self, http: &Http) {
        let count = self.numbers.len() as u64;
        let (sum, max) = (self.numbers.iter().sum::<u64>(), self.numbers.iter().max().copied().unwrap_or(0));
        for (name, expected) in [("count", count), ("sum", sum), ("max", max)] {
            until(&format!("read model {name} to be {expected}"), || async {
                let answer = http.get(&format!("/api/projections/{name}/{}", self.stream)).await;
                let value = if answer.status == 200 { answer.json()["value"].as_f64() } else { None };
                (value == Some(expected as f64)).then_some(())
            })
            .await;
        }
    }
}

/// Ends it in good order and has its log looked through.
fn verify(server: &mut Server) {
    let ended = server.terminate();
    assert!(ended.success(), "SIGTERM ends with {ended}");
    let output = server.command(&["log", "verify"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
