//! Ten subscribers of different speed follow a log while it is written: each sees every event once, in order.
//!
//! 60,000 events; `make fault` takes a million.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, unreachable_pub)]

#[path = "shared/report.rs"]
mod report;

use std::time::{Duration, Instant};

use tidewire_log::{EventLog, JournalLog, JournalOptions};
use tidewire_model::append::AppendRequest;
use tidewire_model::event::{NewEvent, StreamName};
use tidewire_model::query::{Filter, Start};

/// How many events a subscriber takes at once, and how long it then does something else.
const SPEEDS: [(usize, u64); 10] = [
    (10_000, 0),
    (1_000, 0),
    (100, 0),
    (17, 0),
    (5_000, 20),
    (1_000, 5),
    (300, 1),
    (10_000, 200),
    (2_500, 40),
    (64, 0),
];

fn request(n: u64) -> AppendRequest {
    let event = NewEvent::json("counted", &serde_json::json!({ "n": n }));
    AppendRequest::one(StreamName::new(format!("thing-{}", n % 10)).unwrap(), event)
}

/// Follows the log to the end; subscriber `number` sees only the stream of its number when that is odd.
async fn follow(log: JournalLog, number: u64, (batch, pause): (usize, u64), count: u64) -> u64 {
    let odd = number % 2 == 1;
    let filter = if odd { Filter::stream(format!("thing-{number}")) } else { Filter::default() };
    let mut subscription = log.subscribe(filter, Start::Beginning).await.unwrap();
    let (mut next, step) = if odd { (number, 10) } else { (0, 1) };
    let mut seen = 0;
    while next < count {
        let delivery = subscription.next_batch(batch).await.unwrap();
        for event in &delivery.events {
            let n = event.data_json().unwrap()["n"].as_u64().unwrap();
            assert_eq!((n, event.position.get()), (next, next + 1), "subscriber {number}");
            next += step;
            seen += 1;
        }
        if pause > 0 {
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    }
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_of_ten_subscribers_sees_every_event_once_in_order() {
    let count = std::env::var("FAULT_EVENTS").map_or(60_000, |count| count.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let options = JournalOptions { segment_bytes: 4 << 20, ..JournalOptions::default() };
    let log = JournalLog::open_with(folder.path(), options).unwrap();
    let began = Instant::now();
    let mut followers = tokio::task::JoinSet::new();
    for (number, speed) in SPEEDS.into_iter().enumerate() {
        followers.spawn(follow(log.clone(), number as u64, speed, count));
    }
    for first in (0..count).step_by(1_000) {
        let requests = (first..(first + 1_000).min(count)).map(request).collect();
        assert!(log.append_each(requests).await.iter().all(Result::is_ok));
    }
    let written = began.elapsed();
    let seen: u64 = followers.join_all().await.into_iter().sum();
    assert_eq!(seen, 5 * count + 5 * count / 10);
    log.close().await;
    report::report(
        "slow subscribers",
        &format!(
            "{count} events in {written:.1?}, ten subscribers at different speeds, the last done after {:.1?}",
            began.elapsed()
        ),
        &format!("{seen} deliveries: every event once, in order"),
    );
}
