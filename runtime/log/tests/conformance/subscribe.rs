//! Subscriptions.

use std::time::Duration;

use tidewire_log::{LogError, Subscription};
use tidewire_model::query::{Filter, Start};
use tokio::time::timeout;

use super::{Log, at, event, one, positions, stream};
use tidewire_model::append::AppendRequest;

const PATIENCE: Duration = Duration::from_secs(20);

async fn take(subscription: &mut Subscription, count: usize, max: usize) -> Vec<u64> {
    let mut got = Vec::new();
    while got.len() < count {
        let delivery = timeout(PATIENCE, subscription.next_batch(max)).await.expect("in time").unwrap();
        got.extend(positions(&delivery.events));
    }
    got
}

pub async fn catch_up_goes_live_without_gap_or_duplicate(log: Log) {
    const EACH: u64 = 400;
    log.append((0..100).map(|n| one("thing-0", "read", n)).collect()).await.unwrap();
    let mut writers = Vec::new();
    for writer in 0..3 {
        let log = Log::clone(&log);
        writers.push(tokio::spawn(async move {
            for n in (0..EACH).step_by(8) {
                let batch = (n..n + 8).map(|n| one(&format!("thing-{writer}"), "read", n));
                for result in log.append_each(batch.collect()).await {
                    result.unwrap();
                }
                tokio::task::yield_now().await;
            }
        }));
    }
    let total = usize::try_from(100 + 3 * EACH).unwrap();
    let mut readers = Vec::new();
    for reader in 0..3 {
        let mut subscription = log.subscribe(Filter::default(), Start::Beginning).await.unwrap();
        readers.push(tokio::spawn(async move { take(&mut subscription, total, [1, 17, 500][reader]).await }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    for reader in readers {
        assert_eq!(reader.await.unwrap(), (1..=total as u64).collect::<Vec<_>>());
    }
}

pub async fn each_start_begins_where_it_says(log: Log) {
    log.append((0..10).map(|n| one("thing-1", "read", n)).collect()).await.unwrap();
    let time = log.event_at(at(1)).await.unwrap().unwrap().recorded_time;
    log.set_checkpoint("mine".into(), at(6)).await.unwrap();
    for (start, first) in [
        (Start::Beginning, 1),
        (Start::Position(at(4)), 4),
        (Start::Time(time), 1),
        (Start::Checkpoint("mine".into()), 7),
        (Start::Checkpoint("new".into()), 1),
    ] {
        let mut subscription = log.subscribe(Filter::default(), start.clone()).await.unwrap();
        assert_eq!(take(&mut subscription, 1, 1).await, [first], "{start:?}");
    }
    let mut now = log.subscribe(Filter::default(), Start::Now).await.unwrap();
    let mut future = log.subscribe(Filter::default(), Start::Position(at(12))).await.unwrap();
    assert!(timeout(PATIENCE, now.next_batch(10)).await.unwrap().unwrap().caught_up);
    log.append(vec![one("thing-1", "read", 10), one("thing-1", "read", 11)]).await.unwrap();
    assert_eq!(take(&mut now, 2, 10).await, [11, 12]);
    assert_eq!(take(&mut future, 1, 10).await, [12], "a position that is still to come is waited for");
}

pub async fn a_filter_that_skips_still_moves_the_checkpoint(log: Log) {
    log.append((0..50).map(|n| one("thing-1", "read", n)).collect()).await.unwrap();
    let mut subscription = log.subscribe(Filter::types(["opened"]), Start::Beginning).await.unwrap();
    let delivery = timeout(PATIENCE, subscription.next_batch(10)).await.unwrap().unwrap();
    assert_eq!((delivery.events.len(), delivery.through, delivery.caught_up), (0, at(50), true));
    log.append((0..50).map(|n| one("thing-1", "read", n)).collect()).await.unwrap();
    log.append(vec![one("thing-1", "opened", 1)]).await.unwrap();
    assert_eq!(take(&mut subscription, 1, 10).await, [101]);
}

pub async fn a_dropped_wait_loses_nothing(log: Log) {
    let mut subscription = log.subscribe(Filter::default(), Start::Beginning).await.unwrap();
    timeout(PATIENCE, subscription.next_batch(10)).await.unwrap().unwrap();
    for n in 0..20 {
        assert!(timeout(Duration::from_micros(10), subscription.next_batch(10)).await.is_err());
        log.append(vec![AppendRequest::one(stream("thing-1"), event("read", n))]).await.unwrap();
        assert_eq!(take(&mut subscription, 1, 10).await, [n + 1]);
    }
}

pub async fn subscriptions_end_when_the_log_is_closed(log: Log) {
    let mut subscription = log.subscribe(Filter::default(), Start::Now).await.unwrap();
    assert!(timeout(PATIENCE, subscription.next_batch(10)).await.unwrap().unwrap().caught_up);
    let waiting = tokio::spawn(async move { subscription.next_batch(10).await });
    log.close().await;
    let end = timeout(PATIENCE, waiting).await.expect("in time").unwrap();
    assert!(matches!(end, Err(LogError::Closed)), "{end:?}");
}
