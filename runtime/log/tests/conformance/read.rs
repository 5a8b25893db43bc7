//! Reading.

use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use tidewire_log::{StreamList, StreamMark, StreamOrder};
use tidewire_model::append::AppendRequest;
use tidewire_model::event::{BINARY, Event, EventId, NewEvent};
use tidewire_model::query::{Direction, Filter, Query, StreamHead};

use super::{Log, at, event, one, positions, stream};

/// 300 events over things and rules, some with large payloads, in commits of different sizes.
async fn fill(log: &Log) -> Vec<Arc<Event>> {
    let mut n = 0;
    for size in (1..=24).cycle() {
        let requests = (n..n + size).map(|n| {
            let name = if n % 5 == 0 { format!("rule-{}", n % 3) } else { format!("thing-{}", n % 7) };
            let mut event = event(["read", "moved", "thing.opened"][usize::try_from(n % 3).unwrap()], n);
            event.correlation_id = (n % 10 == 3).then(|| EventId::from("chain"));
            if n % 40 == 39 {
                event.data = Bytes::from(vec![u8::try_from(n % 256).unwrap(); 9000]);
                event.data_content_type = BINARY.into();
            }
            AppendRequest::one(stream(&name), event)
        });
        log.append(requests.collect()).await.unwrap();
        n += size;
        if n >= 300 {
            break;
        }
    }
    let page = log.read(Query::forwards(Filter::default(), at(0), 10_000)).await.unwrap();
    assert_eq!(page.events.len() as u64, n);
    page.events
}

async fn read_all(log: &Log, filter: &Filter, direction: Direction, limit: usize) -> Vec<u64> {
    let mut found = Vec::new();
    let mut query = Query { filter: filter.clone(), from: at(0), direction, limit };
    loop {
        let page = log.read(query.clone()).await.unwrap();
        assert!(page.events.len() <= limit);
        found.extend(positions(&page.events));
        match page.next {
            Some(next) => query.from = next,
            None => return found,
        }
    }
}

fn filters() -> Vec<Filter> {
    vec![
        Filter::default(),
        Filter::stream("thing-3"),
        Filter::stream("thing-*"),
        Filter::stream("*-1"),
        Filter::stream("nothing"),
        Filter::category("rule"),
        Filter::category("thing-"),
        Filter::types(["read"]),
        Filter::types(["read", "moved"]),
        Filter::types(["thing.*"]),
        Filter { event_types: vec!["moved".into()], ..Filter::stream("thing-1") },
        Filter { event_types: vec!["moved".into()], ..Filter::category("rule") },
        Filter { correlation_id: Some(EventId::from("chain")), ..Filter::default() },
        Filter { text: Some("RULE-2".into()), ..Filter::default() },
    ]
}

pub async fn filters_find_the_same_both_ways(log: Log) {
    let all = fill(&log).await;
    for filter in filters() {
        let mut expected = positions(&all.iter().filter(|event| filter.matches(event)).cloned().collect::<Vec<_>>());
        assert_eq!(read_all(&log, &filter, Direction::Forwards, 10_000).await, expected, "{filter:?}");
        expected.reverse();
        assert_eq!(read_all(&log, &filter, Direction::Backwards, 10_000).await, expected, "{filter:?}");
    }
}

pub async fn pages_join_without_gap_or_duplicate(log: Log) {
    let all = fill(&log).await;
    for filter in [Filter::default(), Filter::stream("thing-3"), Filter::types(["read", "moved"])] {
        let mut expected = positions(&all.iter().filter(|event| filter.matches(event)).cloned().collect::<Vec<_>>());
        assert_eq!(read_all(&log, &filter, Direction::Forwards, 7).await, expected);
        expected.reverse();
        assert_eq!(read_all(&log, &filter, Direction::Backwards, 7).await, expected);
    }
    let query = Query { from: at(10), ..Query::backwards(Filter::default(), 3) };
    assert_eq!(positions(&log.read(query).await.unwrap().events), [10, 9, 8]);
    let query = Query::forwards(Filter::default(), at(10), 3);
    let page = log.read(query).await.unwrap();
    assert_eq!((positions(&page.events), page.next), (vec![10, 11, 12], Some(at(13))));
    let beyond = log.read(Query::forwards(Filter::default(), at(100_000), 3)).await.unwrap();
    assert_eq!((beyond.events.len(), beyond.next), (0, None));
}

/// Whoever goes through the log by itself is handed the same events, however often it stops.
pub async fn going_through_finds_what_pages_hold(log: Log) {
    let all = fill(&log).await;
    let head = all.last().unwrap().position;
    for filter in filters() {
        let expected: Vec<_> = all.iter().filter(|event| filter.matches(event)).cloned().collect();
        for (limit, stops_after) in [(10_000, usize::MAX), (10_000, 1), (40, usize::MAX), (7, 3), (100, 50)] {
            let (mut found, mut from) = (Vec::new(), Some(at(0)));
            while let Some(next) = from {
                let (query, before) = (Query::forwards(filter.clone(), next, limit), found.len());
                let page = log.read_through(&query, &mut |events| {
                    assert!(!events.is_empty());
                    found.extend_from_slice(events);
                    if found.len() - before >= stops_after { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                });
                let page = page.unwrap();
                assert!(page.events.is_empty() && page.head == head && found.len() - before <= limit);
                let handed = &found[before..];
                assert!(page.next.is_none_or(|next| handed.iter().all(|event| event.position < next)));
                from = page.next;
            }
            assert_eq!(found, expected, "{filter:?} {limit} {stops_after}");
        }
    }
}

pub async fn time_bounds_and_positions_at_a_time(log: Log) {
    let all = fill(&log).await;
    let middle = all[150].recorded_time;
    let expected = all.iter().position(|event| event.recorded_time >= middle).unwrap() as u64 + 1;
    assert_eq!(log.position_at_time(middle).await.unwrap(), at(expected));
    assert_eq!(log.position_at_time(i64::MIN).await.unwrap(), at(1));
    assert_eq!(log.position_at_time(i64::MAX).await.unwrap(), log.head().next());
    for direction in [Direction::Forwards, Direction::Backwards] {
        let mut found = Vec::new();
        for (from_time, to_time) in [(None, Some(middle)), (Some(middle), None)] {
            let filter = Filter { from_time, to_time, ..Filter::category("thing") };
            let read = read_all(&log, &filter, direction, 11).await;
            let within = |position: &u64| filter.matches(&all[usize::try_from(*position).unwrap() - 1]);
            assert!(read.iter().all(within));
            found.extend(read);
        }
        found.sort_unstable();
        assert_eq!(found, read_all(&log, &Filter::category("thing"), Direction::Forwards, 1000).await);
    }
}

pub async fn single_events_by_position_and_id(log: Log) {
    let all = fill(&log).await;
    for event in &all {
        assert_eq!(log.event_at(event.position).await.unwrap().as_ref(), Some(event));
        assert_eq!(log.event_by_id(event.id.clone()).await.unwrap().as_ref(), Some(event));
    }
    assert_eq!(log.event_at(at(0)).await.unwrap(), None);
    assert_eq!(log.event_at(log.head().next()).await.unwrap(), None);
    assert_eq!(log.event_by_id(EventId::from("unknown")).await.unwrap(), None);
}

pub async fn streams_are_listed_with_their_last_change(log: Log) {
    let all = fill(&log).await;
    let list = log.streams(StreamList::default()).await.unwrap();
    assert_eq!(list.len(), 10);
    assert!(list.is_sorted_by(|a, b| a.stream < b.stream));
    for head in &list {
        let last = all.iter().rfind(|event| event.stream == head.stream).unwrap();
        assert_eq!(
            (head.version, head.position, head.recorded_time),
            (last.version, last.position, last.recorded_time)
        );
    }
    let after = |name: &str| Some(StreamMark { name: name.into(), ..StreamMark::default() });
    let things =
        StreamList { pattern: Some("thing-*".into()), after: after("thing-2"), limit: 3, ..StreamList::default() };
    let names: Vec<_> = log.streams(things).await.unwrap().into_iter().map(|head| head.stream.to_string()).collect();
    assert_eq!(names, ["thing-3", "thing-4", "thing-5"]);
    for (order, key) in [
        (
            StreamOrder::Newest,
            (|head| (u64::MAX - head.position.get(), head.stream.to_string())) as fn(&StreamHead) -> _,
        ),
        (StreamOrder::Oldest, |head| (head.position.get(), head.stream.to_string())),
        (StreamOrder::Longest, |head| (u64::MAX - head.version, head.stream.to_string())),
        (StreamOrder::Shortest, |head| (head.version, head.stream.to_string())),
    ] {
        let mut expected = list.clone();
        expected.sort_by_key(key);
        let mut found: Vec<StreamHead> = Vec::new();
        while found.len() < list.len() {
            let after = found.last().map(|last| StreamMark {
                name: last.stream.as_str().into(),
                version: last.version,
                position: last.position.get(),
            });
            let page = StreamList { order, after, limit: 3, pattern: None };
            found.extend(log.streams(page).await.unwrap());
        }
        assert_eq!(found, expected, "{order:?}");
    }
    log.append(vec![one("thing-25", "read", 1), one("a", "read", 1)]).await.unwrap();
    let names = log.streams(StreamList::default()).await.unwrap();
    assert!(names.len() == 12 && names.is_sorted_by(|a, b| a.stream < b.stream), "new streams join in order");
    let heads = log.heads(vec![stream("thing-4"), stream("absent")]).await.unwrap();
    assert_eq!(heads[0], list.iter().find(|head| head.stream.as_str() == "thing-4").unwrap().clone());
    assert_eq!((heads[1].version, heads[1].position), (0, at(0)));
}

pub async fn large_payloads_come_back_whole(log: Log) {
    let mut seed = 1_u32;
    let mut noise = |len: usize| -> Bytes {
        let next = |_| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            seed.to_le_bytes()[3]
        };
        (0..len).map(next).collect::<Vec<_>>().into()
    };
    let payloads: Vec<Bytes> = [0, 1, 4000, 4096, 7 * 1024, 7 * 1024 + 1, 300_000].map(&mut noise).into();
    for payload in &payloads {
        let event = NewEvent::new("stored", BINARY, payload.clone());
        log.append(vec![AppendRequest::one(stream("file-1"), event), one("thing-1", "read", 1)]).await.unwrap();
    }
    // Enough after it to move everything out of memory.
    for _ in 0..4 {
        log.append((0..100).map(|n| one("thing-1", "read", n)).collect()).await.unwrap();
    }
    let page = log.read(Query::forwards(Filter::stream("file-1"), at(0), 100)).await.unwrap();
    let read: Vec<_> = page.events.iter().map(|event| event.data.clone()).collect();
    assert!(read == payloads);
}
