//! Data of every size.

use std::future::Future;
use std::task::Poll;

use bytes::Bytes;
use tidewire_log::Commit;
use tidewire_model::append::{AppendError, AppendRequest};
use tidewire_model::event::{BINARY, Body, NewEvent, Raw, TEXT};
use tidewire_model::query::{Filter, Query};

use super::{Log, at, event, one, positions, stream};

pub fn large(n: usize, len: usize) -> NewEvent {
    let text = format!("needle-{n} ").repeat(len / 8);
    let raw = Raw { topic: format!("a/{n}").into(), retain: n == 0, qos: 1, payload: Bytes::from(vec![7; len]) };
    NewEvent { raw: Some(raw), ..NewEvent::new("stored", TEXT, text) }
}

pub async fn large_data_and_raw_payloads_survive_and_are_found(log: Log) {
    let sizes = [0, 4095, 4096, 4097, 200_000, 3_000_000];
    for (n, size) in sizes.into_iter().enumerate() {
        log.append(vec![AppendRequest::one(stream("file-1"), large(n, size))]).await.unwrap();
        log.append(vec![one("thing-1", "read", n as u64)]).await.unwrap();
    }
    let page = log.read(Query::forwards(Filter::stream("file-1"), at(0), 100)).await.unwrap();
    for (n, found) in page.events.iter().enumerate() {
        let expected = large(n, sizes[n]);
        assert_eq!((&found.data, &found.raw, &found.body), (&expected.data, &expected.raw, &Body::Whole), "{n}");
        assert_eq!(log.event_at(found.position).await.unwrap().unwrap(), *found);
        assert_eq!(log.event_by_id(found.id.clone()).await.unwrap().unwrap(), *found);
    }
    for backwards in [false, true] {
        let filter = Filter { text: Some("NEEDLE-4".into()), ..Filter::default() };
        let query = if backwards { Query::backwards(filter, 9) } else { Query::forwards(filter, at(0), 9) };
        assert_eq!(positions(&log.read(query).await.unwrap().events), [9]);
    }
}

pub async fn a_repeated_large_event_is_recognised(log: Log) {
    let request = |n| vec![AppendRequest::one(stream("file-1"), large(n, 50_000).with_id("once"))];
    let first = log.append(request(1)).await.unwrap()[0];
    let again = log.append(request(1)).await.unwrap()[0];
    assert!(again.deduplicated && again.first_position == first.first_position);
    let error = log.append(request(2)).await.unwrap_err();
    assert!(matches!(error, AppendError::DuplicateId { .. }), "other content under the same id: {error}");
    assert_eq!(log.head(), at(1));
}

/// Polls each append once before the next one is made, as a task does that has several under way.
pub async fn appends_of_one_task_keep_their_order_whatever_their_size(log: Log) {
    let mut under_way = Vec::new();
    for n in 0..120_usize {
        let new = if n % 5 == 0 { large(n, 100_000) } else { event("small", n as u64) };
        let commit = Commit { requests: vec![AppendRequest::one(stream("thing-1"), new)], state: Vec::new() };
        let mut append = Box::pin(tokio::task::unconstrained(log.commit(commit)));
        let first = std::future::poll_fn(|context| Poll::Ready(append.as_mut().poll(context))).await;
        under_way.push((append, first));
    }
    for (n, (append, first)) in under_way.into_iter().enumerate() {
        let appended = match first {
            Poll::Ready(appended) => appended,
            Poll::Pending => append.await,
        };
        assert_eq!(appended.unwrap()[0].first_position, at(n as u64 + 1));
    }
}

pub async fn what_is_too_large_is_refused_with_the_limit(log: Log) {
    let big = || AppendRequest::one(stream("file-1"), NewEvent::new("stored", BINARY, vec![1; 16 * 1024 * 1024 + 1]));
    let half = || AppendRequest::one(stream("file-1"), NewEvent::new("stored", BINARY, vec![2; 9 * 1024 * 1024]));
    for requests in [vec![big()], vec![half(), half()]] {
        let error = log.append(requests).await.unwrap_err();
        assert!(matches!(error, AppendError::TooLarge { limit: 16_777_216, .. }), "{error}");
    }
    let each = log.append_each(vec![half(), big(), half()]).await;
    let stored: Vec<_> = each.iter().map(Result::is_ok).collect();
    assert_eq!(stored, [true, false, true], "each counts for itself");
    assert_eq!(log.head(), at(2));
}
