//! What retention promises: events go by policy and nothing else does, on every engine; what is left is what it was,
//! after a rebuild too; the chain still tells of any change.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, unreachable_pub)]

#[path = "retention/disk.rs"]
mod disk;
#[path = "faults/support.rs"]
#[allow(dead_code, reason = "shared with other tests")]
mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tidewire_log::{
    COMPACTED, CompactOrder, EventLog, Hold, JournalLog, JournalOptions, LogError, MemoryLog, StreamList, policies,
    set_policies,
};
use tidewire_model::append::{AppendRequest, ExpectedVersion};
use tidewire_model::event::{Event, NewEvent, StreamName};
use tidewire_model::position::Position;
use tidewire_model::query::{Direction, Filter, Query};
use tidewire_model::retention::RetentionPolicy;

const DAY: i64 = 24 * 60 * 60 * 1000;

type Log = Arc<dyn EventLog>;

#[derive(Clone, Default)]
struct Clock(Arc<AtomicI64>);

impl Clock {
    fn set(&self, day: i64) {
        self.0.store(day * DAY, Ordering::SeqCst);
    }

    fn function(&self) -> Arc<dyn Fn() -> i64 + Send + Sync> {
        let clock = self.clone();
        Arc::new(move || clock.0.load(Ordering::SeqCst))
    }
}

fn options(clock: &Clock) -> JournalOptions {
    JournalOptions { segment_bytes: 16 * 1024, keep_events: 0, clock: clock.function(), ..JournalOptions::default() }
}

async fn open(folder: &Path, clock: &Clock) -> JournalLog {
    support::open_with(folder, options(clock)).await
}

fn policy(id: &str) -> RetentionPolicy {
    RetentionPolicy { id: id.to_owned(), ..RetentionPolicy::default() }
}

fn order() -> CompactOrder {
    CompactOrder { actor: "user:test".into(), close_segment: true, ..CompactOrder::default() }
}

async fn append(log: &dyn EventLog, stream: &str, event_type: &str, count: u64) {
    for n in 0..count {
        let event = NewEvent::json(event_type, &serde_json::json!({"n": n, "fill": "x".repeat(50)}));
        log.append(vec![AppendRequest::one(StreamName::new(stream).unwrap(), event)]).await.unwrap();
    }
}

async fn all(log: &dyn EventLog, filter: Filter) -> Vec<Arc<Event>> {
    let (mut events, mut from) = (Vec::new(), Position::FIRST);
    loop {
        let page = log.read(Query::forwards(filter.clone(), from, 1000)).await.unwrap();
        events.extend(page.events);
        let Some(next) = page.next else { return events };
        from = next;
    }
}

/// Three days of events, then enough newer ones that everything old is where retention can reach it.
async fn history(log: &dyn EventLog, clock: &Clock) {
    for day in [1, 10, 20] {
        clock.set(day);
        append(log, "thing-a", "read", 60).await;
        append(log, "thing-b", "read", 40).await;
        append(log, "rule-a", "decided", 20).await;
        append(log, "thing-c", "moved", 20).await;
    }
    clock.set(30);
    append(log, "other-z", "noted", 80).await;
}

async fn engines() -> Vec<(Log, Clock, Option<tempfile::TempDir>)> {
    let (one, two, three) = (Clock::default(), Clock::default(), Clock::default());
    let memory: Log = Arc::new(MemoryLog::with_clock({
        let function = one.function();
        move || function()
    }));
    let (small, large) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let journal: Log = Arc::new(open(small.path(), &two).await);
    let default = JournalOptions { clock: three.function(), ..JournalOptions::default() };
    let plain: Log = Arc::new(support::open_with(large.path(), default).await);
    vec![(memory, one, None), (journal, two, Some(small)), (plain, three, Some(large))]
}

/// What is left is found backwards, by every index, by time, by id and one by one; what went is nowhere.
async fn found_everywhere(log: &dyn EventLog, before: &[Arc<Event>], expected: &[Arc<Event>]) {
    let query = Query { filter: Filter::default(), from: Position::ZERO, direction: Direction::Backwards, limit: 1000 };
    let mut backwards = log.read(query).await.unwrap().events;
    backwards.reverse();
    backwards.retain(|event| event.event_type != COMPACTED);
    assert_eq!(backwards, expected);
    for (filter, wanted) in [
        (Filter::stream("thing-b"), "thing-b"),
        (Filter::category("thing"), "thing-"),
        (Filter::types(["decided"]), "rule-a"),
    ] {
        let found = all(log, filter).await;
        let wanted: Vec<_> =
            expected.iter().filter(|event| event.stream.as_str().starts_with(wanted)).cloned().collect();
        assert_eq!(found, wanted);
    }
    for event in before {
        let kept = expected.contains(event).then(|| Arc::clone(event));
        assert_eq!(log.event_at(event.position).await.unwrap(), kept);
        assert_eq!(log.event_by_id(event.id.clone()).await.unwrap(), kept);
    }
    let first_read = expected.iter().find(|event| event.recorded_time >= 15 * DAY).unwrap().position;
    assert_eq!(log.position_at_time(15 * DAY).await.unwrap(), first_read);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn age_and_count_decide_alike_on_every_engine() {
    for (log, clock, _folder) in engines().await {
        history(&*log, &clock).await;
        let before = all(&*log, Filter::default()).await;
        let heads = log.streams(StreamList::default()).await.unwrap();
        let rules = [
            RetentionPolicy { types: vec!["dec*".into()], ..policy("decisions stay") },
            RetentionPolicy { stream: Some("thing-b".into()), max_count: Some(10), ..policy("few of b") },
            RetentionPolicy {
                category: Some("thing".into()),
                max_age_seconds: Some(15 * 86_400),
                ..policy("two weeks")
            },
        ];
        set_policies(&*log, &rules).await.unwrap();
        assert_eq!(policies(&*log).await.unwrap(), rules);
        let dry = log.compact(CompactOrder { dry_run: true, close_segment: true, ..order() }).await.unwrap();
        assert_eq!(dry.freed_bytes, 0);
        assert_eq!(all(&*log, Filter::default()).await, before, "a dry run drops nothing");

        let done = log.compact(order()).await.unwrap();
        let stays = |event: &&Arc<Event>| match event.stream.as_str() {
            "thing-b" => event.version > 110,
            "thing-a" | "thing-c" => event.recorded_time >= 15 * DAY,
            _ => true,
        };
        let expected: Vec<_> = before.iter().filter(stays).cloned().collect();
        let mut left = all(&*log, Filter::default()).await;
        let recorded: Vec<_> = left.extract_if(.., |event| event.event_type == COMPACTED).collect();
        assert_eq!(left, expected);
        assert_eq!(done.events(), (before.len() - expected.len()) as u64);
        let by_policy: BTreeMap<_, _> = done.policies.iter().map(|drop| (drop.policy.as_str(), drop.events)).collect();
        assert_eq!(by_policy, BTreeMap::from([("few of b", 110), ("two weeks", 160)]));

        found_everywhere(&*log, &before, &expected).await;

        // Versions and positions go on as if nothing had happened.
        for head in heads {
            assert_eq!(log.heads(vec![head.stream.clone()]).await.unwrap(), std::slice::from_ref(&head));
            let mut request = AppendRequest::one(head.stream, NewEvent::json("on", &serde_json::json!({})));
            request.expected = ExpectedVersion::Exact(head.version);
            assert_eq!(log.append(vec![request]).await.unwrap()[0].version, head.version + 1);
        }
        let data = |event: &Arc<Event>| event.data_json().unwrap();
        let count: u64 = recorded.iter().map(|event| data(event)["events"].as_u64().unwrap()).sum();
        assert_eq!(count, done.events(), "what was dropped is recorded");
        assert!(recorded.iter().all(|event| event.actor.as_deref() == Some("user:test")));
        assert_eq!(log.compact(order()).await.unwrap().events(), 1, "one of b was pushed out by the one after it");
        log.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_of_bytes_keeps_the_newest_on_every_engine() {
    let mut kept = Vec::new();
    for (log, clock, _folder) in engines().await {
        history(&*log, &clock).await;
        let rules = [RetentionPolicy { category: Some("thing-".into()), max_bytes: Some(20_000), ..policy("small") }];
        set_policies(&*log, &rules).await.unwrap();
        let done = log.compact(order()).await.unwrap();
        let left = all(&*log, Filter::category("thing")).await;
        let last = left.last().unwrap();
        assert_eq!((last.stream.as_str(), last.version), ("thing-c", 60));
        assert!(left.windows(2).all(|pair| pair[0].position < pair[1].position));
        assert_eq!(done.events() + left.len() as u64, 360);
        assert_eq!(all(&*log, Filter::category("rule")).await.len(), 60);
        kept.push(left.len());
        log.close().await;
    }
    assert!(kept.iter().all(|count| *count == kept[0]) && (50..250).contains(&kept[0]), "{kept:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_needs_events_keeps_them() {
    for (log, clock, _folder) in engines().await {
        history(&*log, &clock).await;
        set_policies(&*log, &[RetentionPolicy { max_age_seconds: Some(86_400), ..policy("a day") }]).await.unwrap();
        log.set_checkpoint("slow".into(), Position::new(100)).await.unwrap();
        let held = log.compact(CompactOrder { dry_run: true, ..order() }).await.unwrap();
        if held.events() > 0 {
            assert_eq!((held.held_by[0].by.as_str(), held.held_by[0].from), ("checkpoint slow", Position::new(101)));
        }
        let refusing = CompactOrder {
            before_drop: Some(Arc::new(|dropping| {
                let (through, group) = (dropping.through, dropping.groups[0].clone());
                assert_eq!((group.category.as_str(), group.event_type.as_str()), ("thing", "read"));
                assert_eq!((group.events, group.last_position), (100, through));
                Box::pin(async move { Err(format!("projection 'latest' has no snapshot through {through}")) })
            })),
            ..order()
        };
        let error = log.compact(refusing).await.unwrap_err();
        assert!(matches!(error, LogError::Retention(_)), "{error}");
        assert!(error.to_string().contains("no snapshot through 100"), "{error}");
        assert!(log.event_at(Position::FIRST).await.unwrap().is_some());

        assert_eq!(log.dropped().await.unwrap(), []);
        log.compact(order()).await.unwrap();
        let left = all(&*log, Filter::default()).await;
        assert_eq!(left[0].position, Position::new(101));
        let dropped = log.dropped().await.unwrap();
        assert_eq!((dropped.len(), dropped[0].events, dropped[0].last_position), (1, 100, Position::new(100)));
        log.set_checkpoint("slow".into(), Position::new(400)).await.unwrap();
        let latest =
            || Box::pin(std::future::ready(vec![Hold { by: "projection latest".into(), from: Position::new(301) }]));
        let done = log.compact(CompactOrder { holds: Some(Arc::new(move || latest())), ..order() }).await.unwrap();
        assert_eq!(done.held_by[0].by, "projection latest");
        assert_eq!(all(&*log, Filter::default()).await[0].position, Position::new(301));
        log.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_goes_without_a_policy_or_within_a_day() {
    for (log, clock, _folder) in engines().await {
        history(&*log, &clock).await;
        let count = all(&*log, Filter::default()).await.len();
        assert_eq!(log.compact(order()).await.unwrap().events(), 0);
        clock.set(20);
        set_policies(&*log, &[RetentionPolicy { max_age_seconds: Some(1), ..policy("strict") }]).await.unwrap();
        log.compact(order()).await.unwrap();
        let left = all(&*log, Filter::default()).await;
        let young = left.iter().filter(|event| event.recorded_time >= 20 * DAY && event.event_type != COMPACTED);
        assert_eq!(young.count(), count - 280, "repeated ids of the last day are recognised");
        log.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn usage_tells_growth_and_what_the_archives_hold() {
    for (log, clock, folder) in engines().await {
        history(&*log, &clock).await;
        log.compact(order()).await.unwrap();
        let usage = log.usage().await.unwrap();
        assert_eq!(usage.head.get(), 500);
        assert!((usage.events_per_day - 80.0 * 24.0).abs() < 1.0, "80 within the first hour: {usage:?}");
        assert!(usage.bytes_per_day > 80.0 * 50.0, "{usage:?}");
        if folder.is_some() {
            assert!(usage.archive_bytes > 0 && usage.store_bytes > 0 && usage.days_left.unwrap() > 0.0);
            let reads = usage.archived.iter().find(|group| group.event_type == "read").unwrap();
            assert_eq!((reads.category.as_str(), reads.events), ("thing", 300));
        }
        log.close().await;
    }
}
