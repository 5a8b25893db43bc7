//! Rebuilding beside, comparing, parked events, and looking back from snapshots.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::sync::Arc;

use serde_json::json;
use tidewire_log::JournalLog;
use tidewire_model::position::Position;
use tidewire_model::query::{Filter, Query};
use tidewire_node_api::handles::{At, Projections as _};
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::schemas::{Registration, Schemas};

use super::tests::{Log, PATIENCE, append, caught_up, event, listed, listener, memory, nobody, recount, spec};
use super::*;

async fn until(service: &ProjectionService, what: impl Fn(&ProjectionStatus) -> bool) {
    let looking = async {
        while !what(&service.status("sums").unwrap().unwrap()) {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, looking).await.expect("in time");
}

fn start(log: &Log) -> (ProjectionService, Box<dyn ProjectionGuard>) {
    let service = ProjectionService::new(Arc::clone(log), Handle::current());
    let guard = service.keep(spec("1", 1), nobody()).unwrap();
    (service, guard)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_build_on_trial_is_compared_and_swapped_or_given_up_on_request() {
    let log = memory();
    let (service, _guard) = start(&log);
    append(&log, (0..3_000).map(|n| event(&format!("thing-{}", n % 7), n % 5)).collect()).await;
    caught_up(&service, &log).await;
    assert!(service.swap("sums").await.is_err() && service.cancel_rebuild("sums").await.is_err());
    service.rebuild_beside("sums", true).await.unwrap();
    until(&service, |status| status.build.is_some_and(|build| build.ready)).await;
    let comparison = service.details("sums").await.unwrap().comparison.unwrap();
    assert_eq!((comparison.different, comparison.old_keys, comparison.new_keys), (0, 7, 7));
    assert_eq!(comparison.old_position, comparison.new_position);
    // The one that is served is kept up to date meanwhile.
    append(&log, vec![event("thing-1", 1)]).await;
    caught_up(&service, &log).await;
    assert_eq!(listed(&service).await, recount(&log, log.head()).await);
    service.cancel_rebuild("sums").await.unwrap();
    assert_eq!(service.status("sums").unwrap().unwrap().build, None);
    service.rebuild_beside("sums", true).await.unwrap();
    until(&service, |status| status.build.is_some_and(|build| build.ready)).await;
    append(&log, vec![event("thing-2", 1)]).await;
    service.swap("sums").await.unwrap();
    until(&service, |status| status.build.is_none()).await;
    append(&log, vec![event("thing-3", 1)]).await;
    caught_up(&service, &log).await;
    assert_eq!(listed(&service).await, recount(&log, log.head()).await);
    let builds = log.projections().list().unwrap();
    assert_eq!(builds.iter().filter(|info| info.name.starts_with("sums@")).count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_another_definition_changes_is_written_down() {
    let log = memory();
    let (service, guard) = start(&log);
    append(&log, vec![event("thing-a", 2), event("thing-b", 0)]).await;
    caught_up(&service, &log).await;
    drop(guard);
    let _guard = service.keep(spec("2", 10), nobody()).unwrap();
    caught_up(&service, &log).await;
    let comparison = service.details("sums").await.unwrap().comparison.unwrap();
    assert_eq!((comparison.different, comparison.sample[0].key.as_str()), (1, "thing-a"));
    assert_eq!((&comparison.sample[0].old, &comparison.sample[0].new), (&json!("sum 2"), &json!("sum 20")));
}

#[tokio::test]
async fn parked_events_are_skipped_with_a_reason_or_tried_again() {
    let log = memory();
    let service = ProjectionService::new(Arc::clone(&log), Handle::current());
    // Not of what is told about the read model itself.
    let things = ProjectionSpec { filter: Filter::category("thing"), ..spec("1", 1) };
    let _guard = service.keep(things, nobody()).unwrap();
    append(&log, vec![event("thing-a", "many"), event("thing-a", "few"), event("thing-a", 3)]).await;
    caught_up(&service, &log).await;
    assert_eq!(service.status("sums").unwrap().unwrap().parked, 2);
    let again = service.retry("sums", Position::new(1), "user:anna").await.unwrap_err();
    assert!(again.text.contains("not a number"), "{again}");
    let skipped = Skipped { by: "user:anna".into(), reason: "a test device".into(), time: 7 };
    service.skip("sums", Position::new(1), skipped.clone()).await.unwrap();
    assert!(service.skip("sums", Position::new(1), skipped.clone()).await.is_err());
    assert!(service.skip("sums", Position::new(3), skipped.clone()).await.is_err(), "it is not parked");
    let parked = service.parked("sums", 10).unwrap();
    assert_eq!((parked[0].skipped.as_ref(), parked[1].skipped.as_ref()), (Some(&skipped), None));
    assert_eq!(service.status("sums").unwrap().unwrap().parked, 1);
    // Who said so is in the log.
    let told = log.read(Query::forwards(Filter::stream("projection-sums"), Position::FIRST, 10)).await.unwrap().events;
    assert_eq!(told[0].event_type, "tidewire.projection.skipped");
    assert_eq!(told[0].actor.as_deref(), Some("user:anna"));
    // It stays skipped in a new build.
    service.rebuild_beside("sums", false).await.unwrap();
    until(&service, |status| status.build.is_none()).await;
    caught_up(&service, &log).await;
    let parked = service.parked("sums", 10).unwrap();
    assert_eq!(parked.iter().filter(|one| one.skipped.as_ref() == Some(&skipped)).count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_whole_read_model_is_shown_as_it_was() {
    let log = memory();
    let (service, _guard) = start(&log);
    let mut moments = Vec::new();
    for round in 0..20 {
        append(&log, (0..50).map(|n| event(&format!("thing-{}", n % 11), n + round)).collect()).await;
        moments.push(log.head());
    }
    caught_up(&service, &log).await;
    for until in moments {
        let past = service.list_at("sums", At::Position(until)).await.unwrap();
        let entries = past.entries.iter().map(|entry| (entry.key.clone(), entry.value.to_text().into_owned()));
        assert_eq!(entries.collect::<BTreeMap<_, _>>(), recount(&log, until).await, "{until}");
        let one = service.get_at("sums", "thing-3", At::Position(until)).await.unwrap().unwrap();
        assert_eq!(Some(&one.value.to_text().into_owned()), recount(&log, until).await.get("thing-3"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_upcaster_makes_the_read_models_of_its_type_anew_beside_the_old_ones() {
    let log = memory();
    let open = async || {
        let schemas = Schemas::open(Arc::clone(&log)).await.unwrap();
        let service = ProjectionService::new(Arc::clone(&log), Handle::current());
        let form = schemas.clone();
        service.read_as(move |filter| form.form_of(filter));
        let changed = service.clone();
        schemas.on_change(move |event_type| changed.build_anew(event_type));
        let of = |name: &str, event_type: &str| {
            let filter = Filter { event_types: vec![event_type.into()], ..Filter::category("thing") };
            ProjectionSpec { name: name.into(), filter, ..spec("1", 1) }
        };
        let guards = [of("sums", "reading-*"), of("others", "moved")].map(|spec| service.keep(spec, nobody()).unwrap());
        (schemas, service, guards)
    };
    let (schemas, service, guards) = open().await;
    append(&log, vec![event("thing-a", 2), event("thing-b", 5), event("thing-a", 1)]).await;
    caught_up(&service, &log).await;
    let upcast = |script: &str| Registration { schema: None, upcast: Some(script.to_owned()) };
    let value = async |service: &ProjectionService| listed(service).await["thing-a"].clone();
    let plain = Registration { schema: Some(json!({"type": "object"})), upcast: None };
    schemas.register("reading-reported", 1, plain, "anna").await.unwrap();
    for (version, script, expected) in [
        (2, "fn upcast(data, event) { #{ n: data.n * 10 } }", "sum 30"),
        (3, "fn upcast(data, event) { #{ n: data.n + 1 } }", "sum 32"),
    ] {
        schemas.register("reading-reported", version, upcast(script), "anna").await.unwrap();
        let swapped = async {
            // Readers find the old one until the new one takes its place, and never less.
            while value(&service).await != expected {
                assert_eq!(listed(&service).await.len(), 2);
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, swapped).await.expect("in time");
        until(&service, |status| status.build.is_none()).await;
        let comparison = service.details("sums").await.unwrap().comparison.unwrap();
        assert_eq!((comparison.different, comparison.new_keys), (2, 2));
    }
    let places = || {
        let builds = log.projections().list().unwrap().into_iter().map(|info| info.name.to_string());
        builds.filter(|name| name.contains('@')).collect::<Vec<_>>()
    };
    assert_eq!(places(), ["others@1", "sums@3"], "the other one was left alone");
    drop(guards);
    service.close().await;
    let (_schemas, service, _guards) = open().await;
    append(&log, vec![event("thing-a", 3)]).await;
    caught_up(&service, &log).await;
    assert_eq!((value(&service).await.as_str(), places()), ("sum 35", vec!["others@1".into(), "sums@3".into()]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_history_of_many_keys_is_built_whole_while_more_is_appended() {
    let folder = tempfile::tempdir().unwrap();
    let log: Log = Arc::new(JournalLog::open(folder.path()).unwrap());
    let history = |from: u64| (from..from + 1_000).map(|n| event(&format!("thing-{}", n % 4_999), n)).collect();
    for batch in 0..12 {
        append(&log, history(batch * 1_000)).await;
    }
    let service = ProjectionService::new(Arc::clone(&log), Handle::current());
    let (changed, told) = listener();
    let guard = service.keep(spec("1", 1), changed).unwrap();
    for batch in 12..16 {
        append(&log, history(batch * 1_000)).await;
        caught_up(&service, &log).await;
        service.rebuild("sums").unwrap();
    }
    until(&service, |status| status.build.is_none()).await;
    assert_eq!(listed(&service).await, recount(&log, log.head()).await);
    assert_eq!(service.status("sums").unwrap().unwrap().keys, 4_999);
    let told: Vec<u64> = told.lock().unwrap().iter().map(|entry| entry.position.get()).collect();
    let first = *told.first().unwrap();
    assert!(first <= 12_001, "{first}");
    assert_eq!(told, (first..=16_000).collect::<Vec<_>>());
    drop(guard);
    service.close().await;
    log.close().await;
}

/// Each round is cut off somewhere, with a new build under way; nothing is lost and nothing counts twice.
#[test]
fn kills_at_any_point_of_a_rebuild_leave_each_event_effective_once() {
    let log = memory();
    let outer = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for round in 0_u64..25 {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let service = ProjectionService::new(Arc::clone(&log), runtime.handle().clone());
        let guard = service.keep(spec("1", 1), nobody()).unwrap();
        outer.block_on(async {
            append(&log, (0..400).map(|n| event(&format!("thing-{}", n % 7), n)).collect()).await;
            if round % 4 != 3 {
                let target = Position::new(log.head().get() - round % 3);
                timeout(PATIENCE, service.wait_for("sums", target)).await.unwrap().unwrap();
                if round % 2 == 0 {
                    service.rebuild("sums").unwrap();
                }
                // Cut off after a while that differs from round to round.
                for _ in 0..round * 40 {
                    std::hint::spin_loop();
                    tokio::task::yield_now().await;
                }
            }
        });
        runtime.shutdown_background();
        drop(guard);
    }
    outer.block_on(async {
        let service = ProjectionService::new(Arc::clone(&log), Handle::current());
        let (changed, told) = listener();
        let _guard = service.keep(spec("1", 1), changed).unwrap();
        caught_up(&service, &log).await;
        until(&service, |status| status.build.is_none()).await;
        assert_eq!(listed(&service).await, recount(&log, log.head()).await);
        assert_eq!(service.status("sums").unwrap().unwrap().keys, 7);
        append(&log, vec![event("thing-1", 1)]).await;
        caught_up(&service, &log).await;
        assert_eq!(told.lock().unwrap().last().unwrap().position, log.head());
    });
}
