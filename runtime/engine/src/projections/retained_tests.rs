//! What becomes of read models when their events go, and when the store does.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::path::Path;
use std::sync::atomic::{AtomicI64, Ordering};

use tidewire_log::snapshots::list;
use tidewire_log::{CompactOrder, JournalLog, JournalOptions, MemoryLog, set_policies};
use tidewire_model::query::{Filter, Query};
use tidewire_model::retention::RetentionPolicy;
use tidewire_node_api::handles::At;
use tokio::runtime::Handle;

use super::shelf::Build;
use super::tests::{Log, append, caught_up, event, listed, nobody, recount, spec};
use super::*;

const DAY: i64 = 86_400_000;

#[derive(Clone, Default)]
pub(super) struct Clock(Arc<AtomicI64>);

impl Clock {
    pub(super) fn set(&self, day: i64) {
        self.0.store(day * DAY, Ordering::SeqCst);
    }

    pub(super) fn function(&self) -> impl Fn() -> i64 + Send + Sync + use<> {
        let now = Arc::clone(&self.0);
        move || now.load(Ordering::SeqCst)
    }
}

fn open(folder: &Path, clock: &Clock) -> Log {
    let clock = Arc::new(clock.function());
    let options = JournalOptions { segment_bytes: 16 * 1024, clock, ..JournalOptions::default() };
    Arc::new(JournalLog::open_with(folder, options).unwrap())
}

fn start(log: &Log, definition: &str) -> (ProjectionService, Box<dyn ProjectionGuard>) {
    let service = ProjectionService::new(Arc::clone(log), Handle::current());
    // Not of what the log and the read model tell of themselves.
    let spec = ProjectionSpec { filter: Filter::category("thing"), ..spec(definition, 1) };
    let guard = service.keep(spec, nobody()).unwrap();
    (service, guard)
}

/// Old events, then new ones on a later day.
pub(super) async fn history(log: &Log, clock: &Clock, day: i64) {
    for (day, count) in [(day, 300), (day + 20, 40)] {
        clock.set(day);
        append(log, (0..count).map(|n| event(&format!("thing-{}", n % 7), n)).collect()).await;
    }
}

/// Drops what is older than ten days; answers how many events that were.
pub(super) async fn drop_old(log: &Log, service: &ProjectionService) -> u64 {
    let ten_days = RetentionPolicy {
        id: "ten days".into(),
        category: Some("thing".into()),
        max_age_seconds: Some(10 * 86_400),
        ..RetentionPolicy::default()
    };
    set_policies(&**log, &[ten_days]).await.unwrap();
    let service = service.clone();
    let order = CompactOrder {
        close_segment: true,
        before_drop: Some(Arc::new(move |dropping| {
            let service = service.clone();
            Box::pin(async move {
                service
                    .snapshot_before(&dropping)
                    .await
                    .into_iter()
                    .try_for_each(|(_, made)| made.map(drop).map_err(|error| error.text))
            })
        })),
        ..CompactOrder::default()
    };
    log.compact(order).await.unwrap().events()
}

async fn stop(log: &Log, service: &ProjectionService, guard: Box<dyn ProjectionGuard>) {
    drop(guard);
    service.close().await;
    log.close().await;
}

fn lose_store(folder: &Path) {
    for part in ["sled", "projections"] {
        std::fs::remove_dir_all(folder.join(part)).unwrap();
    }
}

pub(super) async fn incomplete(log: &Log) -> usize {
    let filter = Filter::types([INCOMPLETE]);
    log.read(Query::forwards(filter, Position::FIRST, 100)).await.unwrap().events.len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_dropped_events_made_of_it_survives_the_loss_of_the_store() {
    let clock = Clock::default();
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path(), &clock);
    let (service, guard) = start(&log, "1");
    history(&log, &clock, 100).await;
    caught_up(&service, &log).await;
    let all = recount(&log, log.head()).await;
    assert_eq!(drop_old(&log, &service).await, 300);
    let kept = list(&*log, Some("sums")).await.unwrap();
    append(&log, vec![event("thing-1", 7)]).await;
    caught_up(&service, &log).await;
    let before = listed(&service).await;
    assert_ne!(before, recount(&log, log.head()).await, "the log alone would not tell");
    assert!(before.len() == 7 && all.len() == 7);
    stop(&log, &service, guard).await;

    lose_store(folder.path());
    let log = open(folder.path(), &clock);
    log.ready().await.unwrap();
    let (service, guard) = start(&log, "1");
    caught_up(&service, &log).await;
    assert_eq!(listed(&service).await, before);
    let details = service.details("sums").await.unwrap();
    assert_eq!((details.begun_from, details.gap, incomplete(&log).await), (kept[0].position, None, 0));
    // Looking back begins there, and no earlier.
    let past = service.list_at("sums", At::Position(kept[0].position)).await.unwrap();
    assert_eq!(past.begun_from, kept[0].position);
    assert!(service.list_at("sums", At::Position(Position::new(310))).await.is_err());
    // A pass that drops nothing more needs no new one.
    assert_eq!(drop_old(&log, &service).await, 0);
    assert_eq!(list(&*log, Some("sums")).await.unwrap(), kept);
    // One that drops more makes a newer one, which takes its place.
    history(&log, &clock, 130).await;
    caught_up(&service, &log).await;
    let before = listed(&service).await;
    assert!(drop_old(&log, &service).await > 300);
    let newer = list(&*log, Some("sums")).await.unwrap();
    assert!(newer.len() == 1 && newer[0].position > kept[0].position);
    stop(&log, &service, guard).await;
    lose_store(folder.path());
    let log = open(folder.path(), &clock);
    log.ready().await.unwrap();
    let (service, guard) = start(&log, "1");
    caught_up(&service, &log).await;
    assert_eq!(listed(&service).await, before);
    stop(&log, &service, guard).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_or_missing_snapshot_is_told_and_not_taken_as_empty() {
    let clock = Clock::default();
    for damage in [Some(&b"TWSNAP\x01 something else"[..]), None] {
        let folder = tempfile::tempdir().unwrap();
        let log = open(folder.path(), &clock);
        let (service, guard) = start(&log, "1");
        history(&log, &clock, 100).await;
        caught_up(&service, &log).await;
        assert_eq!(drop_old(&log, &service).await, 300);
        let gone_through = log.dropped().await.unwrap()[0].last_position;
        let info = list(&*log, Some("sums")).await.unwrap().remove(0);
        stop(&log, &service, guard).await;
        let path = folder.path().join("snapshots").join(&info.file);
        match damage {
            Some(bytes) => std::fs::write(&path, bytes).unwrap(),
            None => std::fs::remove_file(&path).unwrap(),
        }
        lose_store(folder.path());
        let log = open(folder.path(), &clock);
        log.ready().await.unwrap();
        let (service, guard) = start(&log, "1");
        caught_up(&service, &log).await;
        let gap = service.details("sums").await.unwrap().gap.unwrap();
        assert_eq!((gap.after, gap.through), (Position::ZERO, gone_through));
        let what = if damage.is_some() { "is damaged" } else { "is missing" };
        assert!(gap.reason.contains(what) && gap.reason.contains(&info.file), "{}", gap.reason);
        assert_eq!(incomplete(&log).await, 1);
        stop(&log, &service, guard).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_definition_says_what_it_lacks_and_the_former_one_lacks_nothing() {
    let clock = Clock::default();
    let log: Log = Arc::new(MemoryLog::with_clock(clock.function()));
    let (service, guard) = start(&log, "1");
    history(&log, &clock, 100).await;
    caught_up(&service, &log).await;
    let before = listed(&service).await;
    assert_eq!(drop_old(&log, &service).await, 300);
    drop(guard);
    service.close().await;
    let (service, guard) = start(&log, "2");
    caught_up(&service, &log).await;
    let gap = service.details("sums").await.unwrap().gap.unwrap();
    assert_eq!(guard.progress().unwrap().lacks, gap.through);
    assert!(gap.through == Position::new(300) && gap.reason.contains("definition"), "{gap:?}");
    assert_eq!(listed(&service).await, recount(&log, log.head()).await);
    let past = service.list_at("sums", At::Position(Position::new(320))).await.unwrap();
    assert_eq!(past.begun_from, Position::ZERO, "it is shown as it is: without what is gone");
    assert!(service.list_at("sums", At::Position(Position::new(200))).await.is_err());
    drop(guard);
    service.close().await;
    let (service, _guard) = start(&log, "1");
    caught_up(&service, &log).await;
    assert_eq!((listed(&service).await, service.details("sums").await.unwrap().gap), (before, None));
}

/// A read model that is not kept any more once it has seen one event, and where that stands.
async fn left_after_one(log: &Log, clock: &Clock) -> (ProjectionService, Position) {
    let (service, guard) = start(log, "1");
    clock.set(90);
    let seen = append(log, vec![event("thing-1", 5)]).await;
    caught_up(&service, log).await;
    drop(guard);
    service.close().await;
    (service, seen)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_was_not_kept_meanwhile_says_what_it_missed() {
    let clock = Clock::default();
    let log: Log = Arc::new(MemoryLog::with_clock(clock.function()));
    let (service, seen) = left_after_one(&log, &clock).await;
    history(&log, &clock, 100).await;
    assert_eq!(drop_old(&log, &service).await, 301);
    assert_eq!(list(&*log, Some("sums")).await.unwrap()[0].position, seen);
    let (service, _guard) = start(&log, "1");
    caught_up(&service, &log).await;
    let gap = service.details("sums").await.unwrap().gap.unwrap();
    assert_eq!((gap.after, gap.through), (seen, Position::new(301)));
    let expected = recount(&log, log.head()).await;
    assert_ne!(listed(&service).await["thing-1"], expected["thing-1"], "what it had counted is still there");
}

/// As it is when a server was killed while another definition was being tried, which was then taken back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_it_missed_is_still_known_when_a_build_of_no_use_lay_beside() {
    let clock = Clock::default();
    let log: Log = Arc::new(MemoryLog::with_clock(clock.function()));
    let (service, seen) = left_after_one(&log, &clock).await;
    let shelf = Shelf::new(log.projections());
    let mut builds = shelf.builds("sums").unwrap();
    builds.made += 1;
    let live = builds.live.clone().unwrap();
    builds.next = Some(Build { number: builds.made, definition: "2".into(), ..live });
    shelf.save_builds("sums", &builds).unwrap();
    history(&log, &clock, 100).await;
    assert_eq!(drop_old(&log, &service).await, 301);
    for _start in 0..2 {
        let (service, guard) = start(&log, "1");
        caught_up(&service, &log).await;
        let gap = service.details("sums").await.unwrap().gap.unwrap();
        assert_eq!((gap.after, gap.through), (seen, Position::new(301)));
        assert_eq!((guard.progress().unwrap().lacks, incomplete(&log).await), (gap.through, 1));
        assert_eq!(shelf.builds("sums").unwrap().next, None, "it is given up");
        drop(guard);
        service.close().await;
    }
}
