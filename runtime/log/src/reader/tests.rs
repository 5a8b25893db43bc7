//! Reads by every index are what a plain scan finds. Spans and pages are small here, so that there are many.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use compact_str::CompactString;
use proptest::prelude::*;
use tidewire_model::append::AppendRequest;
use tidewire_model::event::{Event, EventId, NewEvent, StreamName};
use tidewire_model::position::Position;
use tidewire_model::query::{Condition, Direction, EventPredicate, Filter, Query};

use crate::{EventLog, JournalLog, JournalOptions, MemoryLog};

const TYPES: [&str; 4] = ["read", "moved", "thing.opened", "thing.closed"];

/// What is drawn for one event: stream, type, chain, cause.
type Drawn = (usize, usize, Option<u8>, Option<u8>);

fn stream_name(n: usize) -> String {
    match n {
        0 => "thing-0".to_owned(),
        1 => "thing".to_owned(),
        2 => "thing-greenhouse-1".to_owned(),
        3 => "thing-greenhouse-2".to_owned(),
        4 => "rule-1".to_owned(),
        // Longer than a key of the store: they differ only where that is cut.
        5 | 6 => format!("thing-{}-{n}", "long".repeat(50)),
        n => format!("many-{n}"),
    }
}

fn request((stream, event_type, chain, cause): Drawn) -> AppendRequest {
    let mut event = NewEvent::json(TYPES[event_type], &serde_json::json!({ "n": stream }));
    event.correlation_id = chain.map(|n| EventId::from(format!("chain-{n}")));
    event.causation_id = cause.map(|n| EventId::Bits(n.into()));
    AppendRequest::one(StreamName::new(stream_name(stream)).unwrap(), event)
}

/// Streams up to a number.
#[derive(Debug)]
struct Below(u64);

impl EventPredicate for Below {
    fn text(&self) -> &str {
        "below"
    }

    fn holds(&self, event: &Event) -> bool {
        event.data_json().unwrap()["n"].as_u64().unwrap() < self.0
    }

    fn failures(&self) -> u64 {
        0
    }

    fn last_failure(&self) -> Option<String> {
        None
    }
}

fn drawn() -> impl Strategy<Value = Vec<Drawn>> {
    let stream = prop_oneof![4 => 0..7_usize, 1 => 7..60_usize];
    let link = || proptest::option::weighted(0.3, 0..6_u8);
    proptest::collection::vec((stream, 0..TYPES.len(), link(), link()), 1..700)
}

fn filter() -> impl Strategy<Value = Filter> {
    let stream = prop_oneof![
        (0..9_usize).prop_map(stream_name),
        prop::sample::select(vec!["*", "thing-*", "*-1", "many-*", "thing-greenhouse-*", "*long*", "thing*-6", "no-*"])
            .prop_map(str::to_owned),
        Just(format!("thing-{}*", "long".repeat(40))),
    ];
    let types = prop::sample::subsequence(vec!["read", "moved", "thing.*", "*ed", "absent", "*"], 0..3);
    (
        proptest::option::of(stream),
        proptest::option::weighted(0.3, prop::sample::select(vec!["thing", "thing-", "rule", "many", "absent"])),
        types,
        proptest::option::weighted(0.2, 0..800_i64),
        proptest::option::weighted(0.2, 0..800_i64),
        proptest::option::weighted(0.2, 0..7_u8),
        proptest::option::weighted(0.2, 0..7_u8),
        proptest::option::weighted(0.1, Just("RULE")),
        proptest::option::weighted(0.2, 0..20_u64),
    )
        .prop_map(|(stream, category, types, from_time, to_time, chain, cause, text, below)| Filter {
            stream: stream.map(Into::into),
            category: category.map(Into::into),
            event_types: types.into_iter().map(CompactString::from).collect(),
            from_time,
            to_time,
            correlation_id: chain.map(|n| EventId::from(format!("chain-{n}"))),
            causation_id: cause.map(|n| EventId::Bits(n.into())),
            text: text.map(Into::into),
            matching: below.map(|n| Condition(Arc::new(Below(n)))),
        })
}

fn query() -> impl Strategy<Value = Query> {
    let direction = prop_oneof![Just(Direction::Forwards), Just(Direction::Backwards)];
    let limit = prop::sample::select(vec![1, 2, 7, 33, 500]);
    let from = prop_oneof![2 => Just(0), 1 => 1..750_u64];
    (filter(), from, direction, limit).prop_map(|(filter, from, direction, limit)| Query {
        filter,
        from: Position::new(from),
        direction,
        limit,
    })
}

fn plain_scan(all: &[Arc<Event>], query: &Query) -> Vec<u64> {
    let from = query.from.get();
    let matching = all.iter().filter(|event| query.filter.matches(event)).map(|event| event.position.get());
    match query.direction {
        Direction::Forwards => matching.filter(|position| *position >= from).collect(),
        Direction::Backwards => matching.filter(|position| from == 0 || *position <= from).rev().collect(),
    }
}

async fn in_pages(log: &dyn EventLog, query: &Query) -> Vec<u64> {
    let mut found = Vec::new();
    let mut query = query.clone();
    loop {
        let page = log.read(query.clone()).await.unwrap();
        assert!(page.events.len() <= query.limit);
        found.extend(page.events.iter().map(|event| event.position.get()));
        let Some(next) = page.next else { return found };
        let gets_on = match query.direction {
            Direction::Forwards => next > query.from,
            Direction::Backwards => query.from == Position::ZERO || next < query.from,
        };
        assert!(gets_on, "{query:?} goes on at {next}");
        query.from = next;
    }
}

fn ticking() -> impl Fn() -> i64 + Send + Sync + 'static {
    let ticks = AtomicI64::new(0);
    move || ticks.fetch_add(1, Ordering::Relaxed)
}

async fn check(log: &dyn EventLog, queries: &[Query], engine: &str) {
    let all = log.read(Query::forwards(Filter::default(), Position::FIRST, 10_000)).await.unwrap();
    let mut events = all.events;
    let mut next = all.next;
    while let Some(from) = next {
        let page = log.read(Query::forwards(Filter::default(), from, 10_000)).await.unwrap();
        events.extend(page.events);
        next = page.next;
    }
    assert_eq!(events.len() as u64, log.head().get());
    for query in queries {
        assert_eq!(in_pages(log, query).await, plain_scan(&events, query), "{engine}: {query:?}");
    }
}

async fn run(drawn: Vec<Drawn>, batch: usize, queries: Vec<Query>) {
    let fill = async |log: &dyn EventLog| {
        for batch in drawn.chunks(batch) {
            log.append(batch.iter().copied().map(request).collect()).await.unwrap();
        }
    };
    let memory = MemoryLog::with_clock(ticking());
    fill(&memory).await;
    check(&memory, &queries, "memory").await;
    let folder = tempfile::tempdir().unwrap();
    let options = JournalOptions { keep_events: 10, clock: Arc::new(ticking()), ..JournalOptions::default() };
    let journal = JournalLog::open_with(folder.path(), options.clone()).unwrap();
    fill(&journal).await;
    check(&journal, &queries, "journal").await;
    journal.close().await;
    let journal = JournalLog::open_with(folder.path(), options).unwrap();
    check(&journal, &queries, "journal opened again").await;
    journal.close().await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn every_index_finds_what_a_scan_finds(
        drawn in drawn(),
        batch in 1..40_usize,
        queries in proptest::collection::vec(query(), 30),
    ) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(run(drawn, batch, queries));
    }
}
