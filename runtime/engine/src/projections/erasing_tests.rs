//! What is read of an erased stream until nothing of it is left, and what is left of the others.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use serde_json::json;
use tidewire_log::snapshots::list;
use tidewire_log::{MemoryLog, erase, set_personal};
use tidewire_model::event::StreamName;
use tidewire_model::query::Filter;
use tidewire_node_api::handles::At;
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::retained_tests::{Clock, drop_old, history, incomplete};
use super::tests::{Log, PATIENCE, append, caught_up, event, listed, listener, memory, spec};
use super::*;

/// A read model of things, made with a factor of which it depends whether keys stand for streams.
fn of_things(definition: &str, factor: i64) -> ProjectionSpec {
    ProjectionSpec { filter: Filter::category("thing"), ..spec(definition, factor) }
}

fn refused<T>(answer: Result<T, HandleError>) {
    let error = answer.err().expect("it must not be readable");
    assert!(error.retryable && error.text.contains("after an erasure"), "{error}");
}

fn thing(name: &str) -> StreamName {
    StreamName::new(name).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_read_between_the_erasure_and_the_new_build() {
    let log = memory();
    set_personal(&*log, vec!["thing-*".into()], "user:test").await.unwrap();
    let service = ProjectionService::new(Arc::clone(&log), Handle::current());
    let (changed, told) = listener();
    let _guard = service.keep(of_things("1", 2), changed).unwrap();
    append(&log, vec![event("thing-a", 2), event("thing-b", 5), event("thing-b", "many")]).await;
    caught_up(&service, &log).await;
    let a = thing("thing-a");
    service.withhold(&a);
    erase(&*log, &a, "user:test").await.unwrap();
    let before = told.lock().unwrap().len();
    append(&log, vec![event("thing-a", 1)]).await;
    caught_up(&service, &log).await;
    for key in ["thing-a", "thing-b"] {
        refused(service.get("sums", key).await);
        refused(service.get_at("sums", key, At::Position(Position::new(2))).await);
        refused(service.many("sums", vec![key.to_owned()]).await);
    }
    refused(service.page("sums", "k", None, 10));
    refused(service.page("sums", "", None, 10));
    refused(service.list_at("sums", At::Position(Position::new(2))).await);
    refused(service.parked("sums", 10));
    assert_eq!(told.lock().unwrap().len(), before, "it is not told either");
    assert!(service.status("sums").unwrap().unwrap().kept);
    service.forget(&a).await.unwrap();
    caught_up(&service, &log).await;
    let expected = [("thing-a", "sum 2"), ("thing-b", "sum 10")].map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(listed(&service).await, expected.into());
    assert_eq!(service.parked("sums", 10).unwrap().len(), 2, "one of them has no data any more");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_keys_stand_for_streams_the_others_stay_readable() {
    let log = memory();
    set_personal(&*log, vec!["thing-*".into()], "user:test").await.unwrap();
    let service = ProjectionService::new(Arc::clone(&log), Handle::current());
    let _guard = service.keep(of_things("1", 1), Box::new(|_| ())).unwrap();
    append(&log, vec![event("thing-a", 2), event("thing-b", 5), event("thing-c", 7)]).await;
    caught_up(&service, &log).await;
    service.withhold(&thing("thing-b"));
    refused(service.get("sums", "thing-b").await);
    refused(service.list_at("sums", At::Position(Position::new(2))).await);
    let keys = |entries: Vec<Entry>| entries.into_iter().map(|entry| entry.key).collect::<Vec<_>>();
    assert_eq!(keys(service.page("sums", "", None, 2).unwrap()), ["thing-a", "thing-c"]);
    assert!(service.get("sums", "thing-c").await.unwrap().is_some());
    // An erasure that did not happen.
    service.show_again(&thing("thing-b"));
    assert_eq!(service.page("sums", "", None, 9).unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_erasure_takes_its_own_part_of_a_snapshot_and_no_other() {
    for (factor, keeps_others) in [(1, true), (2, false)] {
        let clock = Clock::default();
        let log: Log = Arc::new(MemoryLog::with_clock(clock.function()));
        set_personal(&*log, vec!["thing-*".into()], "user:test").await.unwrap();
        let service = ProjectionService::new(Arc::clone(&log), Handle::current());
        let guard = service.keep(of_things("1", factor), Box::new(|_| ())).unwrap();
        history(&log, &clock, 100).await;
        caught_up(&service, &log).await;
        let before = listed(&service).await;
        assert_eq!(drop_old(&log, &service).await, 300);
        let first = list(&*log, Some("sums")).await.unwrap().remove(0);
        let erased = thing("thing-3");
        service.withhold(&erased);
        erase(&*log, &erased, "user:test").await.unwrap();
        service.forget(&erased).await.unwrap();
        caught_up(&service, &log).await;
        let details = service.details("sums").await.unwrap();
        let now = listed(&service).await;
        assert!(!now.contains_key("thing-3") && now.len() == 6, "{now:?}");
        assert!(log.snapshots().check(&first).is_err(), "the old file is gone");
        if keeps_others {
            assert!(now.iter().all(|(key, value)| before[key] == *value), "{now:?}");
            let newer = list(&*log, Some("sums")).await.unwrap();
            assert!(newer.len() == 1 && newer[0].key_id != first.key_id && newer[0].position == first.position);
            let mut keys = Vec::new();
            let mut found = |key: &str, _| {
                keys.push(key.to_owned());
                Ok(())
            };
            log.snapshots().read(&newer[0], &mut found).unwrap();
            assert!(keys.contains(&"k/thing-2".to_owned()) && !keys.contains(&"k/thing-3".to_owned()), "{keys:?}");
            assert_eq!((details.gap, details.begun_from), (None, first.position));
        } else {
            assert_eq!(list(&*log, Some("sums")).await.unwrap(), []);
            assert!(details.gap.unwrap().reason.contains("erased stream"));
        }
        let counted = async {
            while service.status("sums").unwrap().unwrap().keys != 6 {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, counted).await.expect("in time");
        drop(guard);
        service.close().await;
        // It is the same after the loss of the builds.
        for build in log.projections().list().unwrap() {
            log.projections().drop_projection(&build.name).unwrap();
        }
        let service = ProjectionService::new(Arc::clone(&log), Handle::current());
        let _guard = service.keep(of_things("1", factor), Box::new(|_| ())).unwrap();
        append(&log, vec![event("noise", json!(1))]).await;
        caught_up(&service, &log).await;
        assert_eq!(listed(&service).await, now);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn read_models_forget_what_belongs_to_an_erased_stream_too() {
    let log = memory();
    log.bodies().set_belonging(vec!["letters-".into()]);
    set_personal(&*log, vec!["thing-*".into()], "user:test").await.unwrap();
    let service = ProjectionService::new(Arc::clone(&log), Handle::current());
    let of_letters = ProjectionSpec { filter: Filter::stream("letters-*"), ..spec("1", 1) };
    let _guard = service.keep(of_letters, Box::new(|_| ())).unwrap();
    append(&log, vec![event("letters-thing-a", 2), event("letters-thing-b", 5), event("thing-a", 7)]).await;
    caught_up(&service, &log).await;
    assert_eq!(listed(&service).await.len(), 2);
    let a = thing("thing-a");
    service.withhold(&a);
    erase(&*log, &a, "user:test").await.unwrap();
    refused(service.get("sums", "letters-thing-a").await);
    assert!(service.get("sums", "letters-thing-b").await.unwrap().is_some());
    service.forget(&a).await.unwrap();
    caught_up(&service, &log).await;
    assert_eq!(listed(&service).await, [("letters-thing-b".to_owned(), "sum 5".to_owned())].into());
    assert_eq!(service.get("sums", "letters-thing-a").await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_build_after_an_erasure_lacks_is_told_once() {
    let clock = Clock::default();
    let log: Log = Arc::new(MemoryLog::with_clock(clock.function()));
    set_personal(&*log, vec!["thing-*".into()], "user:test").await.unwrap();
    let start = || {
        let service = ProjectionService::new(Arc::clone(&log), Handle::current());
        let guard = service.keep(of_things("1", 2), Box::new(|_| ())).unwrap();
        (service, guard)
    };
    let (service, guard) = start();
    clock.set(90);
    append(&log, vec![event("thing-1", 5)]).await;
    caught_up(&service, &log).await;
    drop(guard);
    service.close().await;
    history(&log, &clock, 100).await;
    assert_eq!(drop_old(&log, &service).await, 301);
    let (service, _guard) = start();
    caught_up(&service, &log).await;
    assert_eq!(incomplete(&log).await, 1, "what was dropped while nobody kept it");
    let erased = thing("thing-3");
    erase(&*log, &erased, "user:test").await.unwrap();
    service.forget(&erased).await.unwrap();
    caught_up(&service, &log).await;
    // Its snapshot did not reach that far, and has to go as well: of that only the whole counts.
    let gap = service.details("sums").await.unwrap().gap.unwrap();
    assert!(gap.after == Position::ZERO && gap.reason.contains("erased stream"), "{gap:?}");
    assert_eq!(incomplete(&log).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn builds_that_nobody_knows_any_more_go_with_an_erasure() {
    let log = memory();
    set_personal(&*log, vec!["thing-*".into()], "user:test").await.unwrap();
    let service = ProjectionService::new(Arc::clone(&log), Handle::current());
    let (changed, _told) = listener();
    let _guard = service.keep(of_things("1", 2), changed).unwrap();
    append(&log, vec![event("thing-a", 2), event("thing-b", 5)]).await;
    caught_up(&service, &log).await;
    let store = log.projections();
    // As a crash leaves them between forgetting and removing them; the last one is just being made.
    for place in ["sums@0", "sums#0", "sums#1"] {
        store.commit(place, "1", vec![("k".into(), Some("2".into()))], Position::new(1)).unwrap();
    }
    erase(&*log, &thing("thing-a"), "user:test").await.unwrap();
    service.forget(&thing("thing-a")).await.unwrap();
    let left: Vec<_> = store.list().unwrap().into_iter().map(|info| info.name).collect();
    assert!(!left.iter().any(|name| ["sums@0", "sums@1", "sums#0"].contains(&name.as_str())), "{left:?}");
    assert!(left.iter().any(|name| name == "sums#1") && left.iter().any(|name| name == "sums@2"), "{left:?}");
}
