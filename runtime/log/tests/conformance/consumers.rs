//! Groups of competing consumers.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tidewire_log::consumers::{ConsumerError, Consumers, GroupConfig, Leased, Settle, Strategy};
use tidewire_model::query::{Filter, Query, Start};

use super::{Log, at, one};

const NO_WAIT: Duration = Duration::ZERO;

/// Groups on a clock that is moved by hand.
fn consumers(log: &Log, clock: &Arc<AtomicI64>) -> Consumers {
    let clock = Arc::clone(clock);
    let compile = Arc::new(|text: &str| Err(format!("no condition is known, not even {text}")));
    Consumers::new(Log::clone(log), compile, Arc::new(move || clock.load(Ordering::SeqCst)))
}

fn config(strategy: Strategy) -> GroupConfig {
    let filter = Filter::category("thing");
    GroupConfig { filter, strategy, in_flight_max: 10, lease_ms: 1_000, deliveries_max: 3 }
}

fn positions(leased: &[Leased]) -> Vec<u64> {
    leased.iter().map(|leased| leased.event.position.get()).collect()
}

async fn settle(consumers: &Consumers, member: &str, positions: &[u64], how: Settle) -> Vec<bool> {
    let answers = positions.iter().map(|position| (at(*position), how.clone())).collect();
    consumers.settle("g", member, answers).await.unwrap()
}

fn nak(delay_ms: u64) -> Settle {
    Settle::Nak { delay_ms, reason: Some("not now".to_owned()) }
}

pub async fn a_group_shares_events_and_survives(log: Log) {
    let clock = Arc::new(AtomicI64::new(1_000));
    log.append((0..6).map(|n| one(["thing-1", "rule-1"][n % 2], "read", n as u64)).collect()).await.unwrap();
    let groups = consumers(&log, &clock);
    assert!(groups.set("g", config(Strategy::RoundRobin), Start::Beginning).await.unwrap());
    assert_eq!(positions(&groups.fetch("g", "x", 2, NO_WAIT).await.unwrap()), [1, 3]);
    assert_eq!(positions(&groups.fetch("g", "y", 2, NO_WAIT).await.unwrap()), [5]);
    assert_eq!(settle(&groups, "x", &[1, 5], Settle::Ack).await, [true, false]);
    // Another process takes over: who held what is known, what was acknowledged stays so.
    let groups = consumers(&log, &clock);
    assert!(!groups.set("g", config(Strategy::RoundRobin), Start::Now).await.unwrap());
    assert_eq!(groups.fetch("g", "y", 10, NO_WAIT).await.unwrap(), []);
    assert_eq!(settle(&groups, "y", &[5], Settle::Ack).await, [true]);
    let status = groups.status("g").await.unwrap();
    assert_eq!((status.floor, status.read, status.lag, status.in_flight), (at(2), at(6), 4, 1));
    // x has died: its event comes back when the lease ends, and the count tells that it is not the first time.
    clock.fetch_add(1_000, Ordering::SeqCst);
    let again = groups.fetch("g", "y", 10, NO_WAIT).await.unwrap();
    assert_eq!((positions(&again), again[0].delivery), (vec![3], 2));
    assert_eq!(settle(&groups, "x", &[3], Settle::Ack).await, [false]);
    assert_eq!(settle(&groups, "y", &[3], Settle::Ack).await, [true]);
    let status = groups.status("g").await.unwrap();
    assert_eq!((status.floor, status.lag, status.acknowledged, status.redelivered), (at(6), 0, 3, 1));
    // Somebody who waits gets what comes.
    let waiting = groups.fetch("g", "x", 10, Duration::from_secs(20));
    let append = async { log.append(vec![one("thing-2", "read", 9)]).await.unwrap() };
    assert_eq!(positions(&tokio::join!(waiting, append).0.unwrap()), [7]);
    groups.remove("g").await.unwrap();
    assert!(matches!(groups.fetch("g", "x", 1, NO_WAIT).await, Err(ConsumerError::Unknown(_))));
    assert!(consumers(&log, &clock).list().await.unwrap().is_empty());
    assert!(groups.set("bad/name", config(Strategy::RoundRobin), Start::Now).await.is_err());
}

pub async fn what_fails_again_and_again_is_parked(log: Log) {
    let clock = Arc::new(AtomicI64::new(0));
    log.append((0..3).map(|n| one("thing-1", "read", n)).collect()).await.unwrap();
    let groups = consumers(&log, &clock);
    groups.set("g", config(Strategy::RoundRobin), Start::Beginning).await.unwrap();
    for delivery in 1..=3 {
        let leased = groups.fetch("g", "x", 1, NO_WAIT).await.unwrap();
        assert_eq!((positions(&leased), leased[0].delivery), (vec![1], delivery));
        assert_eq!(settle(&groups, "x", &[1], nak(0)).await, [true]);
    }
    assert_eq!(positions(&groups.fetch("g", "x", 1, NO_WAIT).await.unwrap()), [2]);
    let park = Settle::Park { reason: "cannot be read".to_owned() };
    assert_eq!(settle(&groups, "x", &[2], park).await, [true]);
    let groups = consumers(&log, &clock);
    let parked = groups.parked("g", at(0), 10).await.unwrap();
    let told: Vec<_> = parked.iter().map(|(at, one)| (at.get(), one.reason.as_str(), one.deliveries)).collect();
    assert_eq!(told, [(1, "not now", 3), (2, "cannot be read", 1)]);
    assert_eq!(groups.unpark("g", Some(vec![at(2)]), Some("never mind"), "me").await.unwrap(), [at(2)]);
    assert_eq!(groups.unpark("g", None, None, "me").await.unwrap(), [at(1)]);
    let leased = groups.fetch("g", "x", 10, NO_WAIT).await.unwrap();
    assert_eq!((positions(&leased), leased[0].delivery), (vec![1, 3], 1));
    assert_eq!(settle(&groups, "x", &[1, 3], Settle::Ack).await, [true, true]);
    let status = groups.status("g").await.unwrap();
    assert_eq!((status.lag, status.parked, status.in_flight), (log.head().get() - status.read.get(), 0, 0));
    let told = log.read(Query::forwards(Filter::stream("$sub-g"), at(0), 10)).await.unwrap();
    let types: Vec<_> = told.events.iter().map(|event| event.event_type.as_str()).collect();
    let consumer = |what: &str| format!("tidewire.consumer.{what}");
    assert_eq!(types, [consumer("parked"), consumer("parked"), consumer("dropped"), consumer("replayed")]);
}

/// Members that work side by side, now and then fail, and check each other.
async fn crew(log: &Log, strategy: Strategy) {
    const EVENTS: u64 = 300;
    let clock = Arc::new(AtomicI64::new(0));
    let groups = Arc::new(consumers(log, &clock));
    let config = GroupConfig { deliveries_max: 1_000, ..config(strategy) };
    groups.set("g", config, Start::Beginning).await.unwrap();
    let held: Arc<Mutex<HashMap<u64, usize>>> = Arc::default();
    let done: Arc<Mutex<BTreeMap<u64, String>>> = Arc::default();
    let mut members = Vec::new();
    for member in 0..3 {
        let (groups, held, done) = (Arc::clone(&groups), Arc::clone(&held), Arc::clone(&done));
        let failures = AtomicU64::new(0);
        members.push(tokio::spawn(async move {
            let name = format!("m{member}");
            while done.lock().len() < usize::try_from(EVENTS).unwrap() {
                let leased = groups.fetch("g", &name, 5, Duration::from_millis(20)).await.unwrap();
                for one in &leased {
                    let other = held.lock().insert(one.event.position.get(), member);
                    assert_eq!(other, None, "two hold the event at {}", one.event.position);
                }
                tokio::task::yield_now().await;
                let mut failed: Vec<String> = Vec::new();
                for one in &leased {
                    let position = one.event.position.get();
                    let stream = one.event.stream.to_string();
                    if strategy == Strategy::ByStream && failed.contains(&stream) {
                        // Given back together with the one before it.
                        continue;
                    }
                    held.lock().remove(&position);
                    if position % 7 == 0 && one.delivery == 1 && failures.fetch_add(1, Ordering::Relaxed) < 20 {
                        if strategy == Strategy::ByStream {
                            let behind = leased.iter().filter(|other| other.event.stream == one.event.stream);
                            behind.for_each(|other| {
                                held.lock().remove(&other.event.position.get());
                            });
                        }
                        failed.push(stream);
                        let answer = vec![(one.event.position, nak(0))];
                        assert_eq!(groups.settle("g", &name, answer).await.unwrap(), [true]);
                        continue;
                    }
                    assert_eq!(done.lock().insert(position, stream), None, "{position} twice");
                    if strategy == Strategy::ByStream {
                        let done = done.lock();
                        let same = done.iter().filter(|(_, other)| **other == done[&position]);
                        assert_eq!(same.map(|(at, _)| *at).max(), Some(position), "out of order");
                    }
                    let answer = vec![(one.event.position, Settle::Ack)];
                    assert_eq!(groups.settle("g", &name, answer).await.unwrap(), [true]);
                }
            }
        }));
    }
    for n in 0..EVENTS {
        log.append(vec![one(&format!("thing-{}", n % 5), "read", n)]).await.unwrap();
    }
    for member in members {
        member.await.unwrap();
    }
    assert_eq!(groups.status("g").await.unwrap().floor, at(EVENTS));
}

pub async fn no_two_members_hold_one_event(log: Log) {
    crew(&log, Strategy::RoundRobin).await;
}

pub async fn events_of_a_stream_stay_in_order(log: Log) {
    crew(&log, Strategy::ByStream).await;
}

/// What the log refused has not happened, for whoever looks, and not only after a restart.
pub async fn what_is_not_stored_does_not_count(log: Log) {
    let consumers = consumers(&log, &Arc::default());
    consumers.set("g", config(Strategy::RoundRobin), Start::Beginning).await.unwrap();
    for n in 0..3 {
        log.append(vec![one("thing-1", "read", n)]).await.unwrap();
    }
    assert_eq!(consumers.fetch("g", "a", 3, NO_WAIT).await.unwrap().len(), 3);
    let park = || Settle::Park { reason: "no".to_owned() };
    assert_eq!(settle(&consumers, "a", &[1], park()).await, [true]);
    let before = consumers.status("g").await.unwrap();
    assert_eq!((before.parked, before.in_flight), (1, 2));
    log.close().await;
    consumers.unpark("g", None, None, "ops").await.unwrap_err();
    consumers.unpark("g", None, Some("gone"), "ops").await.unwrap_err();
    consumers.settle("g", "a", vec![(at(2), Settle::Ack)]).await.unwrap_err();
    consumers.settle("g", "a", vec![(at(2), park())]).await.unwrap_err();
    consumers.leave("g", "a").await.unwrap_err();
    assert_eq!(consumers.status("g").await.unwrap(), before);
    assert_eq!(consumers.parked("g", at(0), 9).await.unwrap().len(), 1);
}
