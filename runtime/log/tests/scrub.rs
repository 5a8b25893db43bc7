//! Reading a log through while it works: damage is found and told by event, and nothing else is.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, unreachable_pub)]

#[path = "shared/report.rs"]
mod report;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use tidewire_log::backup::Progress;
use tidewire_log::{
    CompactOrder, EventLog, JournalLog, JournalOptions, LogError, MemoryLog, SCRUBBED, last_scrub, set_policies,
};
use tidewire_model::append::AppendRequest;
use tidewire_model::event::{BINARY, NewEvent, StreamName};
use tidewire_model::position::Position;
use tidewire_model::query::{Filter, Query};
use tidewire_model::retention::RetentionPolicy;

const FAST: u64 = 1 << 40;
const DAY: i64 = 24 * 60 * 60 * 1000;

async fn open(folder: &Path, now: &Arc<AtomicI64>) -> JournalLog {
    let now = Arc::clone(now);
    let clock = Arc::new(move || now.load(Ordering::SeqCst));
    let options = JournalOptions { segment_bytes: 32 * 1024, keep_events: 0, clock, ..JournalOptions::default() };
    let log = JournalLog::open_with(folder, options).unwrap();
    log.ready().await.unwrap();
    log
}

async fn append(log: &JournalLog, n: u64) {
    let len = if n.is_multiple_of(10) { 2_000 } else { 30 };
    let event = NewEvent::new("read", BINARY, n.to_le_bytes().repeat(len)).with_id(format!("event-{n}"));
    log.append(vec![AppendRequest::one(StreamName::new("thing-1").unwrap(), event)]).await.unwrap();
}

/// A log with archives, a closed segment and one under way.
async fn filled(folder: &Path) -> JournalLog {
    let log = open(folder, &Arc::default()).await;
    for n in 1..=200 {
        append(&log, n).await;
    }
    log.compact(CompactOrder { close_segment: true, ..CompactOrder::default() }).await.unwrap();
    for n in 201..=300 {
        append(&log, n).await;
    }
    log
}

fn ending(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.join("journal")).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = entries.filter(|path| path.extension().is_some_and(|found| found == ending)).collect();
    paths.sort();
    paths
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 4;
    fs::write(path, bytes).unwrap();
}

async fn told(log: &JournalLog) -> Vec<serde_json::Value> {
    let page = log.read(Query::forwards(Filter::types([SCRUBBED]), Position::FIRST, 100)).await.unwrap();
    page.events.iter().map(|event| event.data_json().unwrap()).collect()
}

#[tokio::test]
async fn a_flipped_bit_is_told_by_event_in_health_and_log() {
    let folder = tempfile::tempdir().unwrap();
    let log = filled(folder.path()).await;
    assert_eq!(last_scrub(&log).await.unwrap(), None);
    let progress = Progress::default();
    let whole = log.scrub(progress.clone(), FAST).await.unwrap();
    assert_eq!((whole.events, whole.damaged, whole.problems.len()), (300, 0, 0));
    let (done, total) = progress.bytes();
    assert!(done > 0 && done == total, "{done} of {total}");
    assert_eq!(log.health().notices, Vec::<String>::new());

    let archive = &ending(folder.path(), "archive")[0];
    flip(archive, fs::metadata(archive).unwrap().len() as usize / 2);
    let plain = &ending(folder.path(), "journal")[0];
    flip(plain, 3_000);
    let content = tidewire_model::event::ContentRef::of(&220_u64.to_le_bytes().repeat(2_000));
    flip(&folder.path().join(tidewire_log::content::relative_path(content)), 7);
    let found = log.scrub(Progress::default(), FAST).await.unwrap();
    assert_eq!(found.damaged, 3, "{found:?}");
    let about = |part: &str| found.problems.iter().any(|problem| problem.contains(part));
    assert!(about("event event-220 at position") && about("event-"), "{found:?}");
    for problem in &found.problems {
        let named = problem.contains("position");
        assert!(named && log.health().notices.iter().any(|notice| notice.contains(problem)), "{problem}");
    }
    let events = told(&log).await;
    assert_eq!(events.len(), 2);
    assert_eq!((&events[0]["damaged"], &events[1]["damaged"]), (&0.into(), &3.into()));
    assert_eq!(events[1]["problems"].as_array().unwrap().len(), 3);
    let done = "a bit each in an archive, a segment and a content file, read through while the log is open";
    report::report("scrub", done, "3 of 3 told by event, in the health of the log and in $log");
    // What was told once is not told again.
    let notices = log.health().notices.len();
    log.scrub(Progress::default(), FAST).await.unwrap();
    assert_eq!(log.health().notices.len(), notices);
    assert_eq!(last_scrub(&log).await.unwrap().unwrap().problems, found.problems);
    log.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_goes_on_meanwhile_is_no_damage() {
    let folder = tempfile::tempdir().unwrap();
    let now = Arc::<AtomicI64>::default();
    let log = open(folder.path(), &now).await;
    let few = RetentionPolicy { id: "few".to_owned(), max_count: Some(20), ..RetentionPolicy::default() };
    set_policies(&log, &[few]).await.unwrap();
    let writing = tokio::spawn({
        let (log, now) = (log.clone(), Arc::clone(&now));
        async move {
            for n in 1..=600 {
                append(&log, n).await;
                if n.is_multiple_of(50) {
                    now.fetch_add(2 * DAY, Ordering::SeqCst);
                    let done =
                        log.compact(CompactOrder { close_segment: true, ..CompactOrder::default() }).await.unwrap();
                    assert!(n < 150 || done.events() > 0);
                }
            }
        }
    });
    let mut scrubs = 0;
    while !writing.is_finished() {
        let found = log.scrub(Progress::default(), FAST).await.unwrap();
        assert_eq!(found.problems, Vec::<String>::new());
        scrubs += 1;
    }
    writing.await.unwrap();
    assert!(scrubs > 1);
    log.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_keeps_to_its_rate_and_can_be_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let log = filled(folder.path()).await;
    let began = Instant::now();
    log.scrub(Progress::default(), 1_000_000).await.unwrap();
    // 30 content files of 16 KB alone are half of that.
    assert!(began.elapsed() > Duration::from_millis(480), "{:?}", began.elapsed());

    let progress = Progress::default();
    let slow = tokio::spawn({
        let (log, progress) = (log.clone(), progress.clone());
        async move { log.scrub(progress, 1).await }
    });
    let ended = told(&log).await.len();
    progress.cancel();
    assert!(matches!(slow.await.unwrap(), Err(LogError::Cancelled)));
    assert_eq!(told(&log).await.len(), ended, "what was given up tells nothing");
    let slow = tokio::spawn({
        let log = log.clone();
        async move { log.scrub(Progress::default(), 1).await }
    });
    log.close().await;
    assert!(slow.await.unwrap().is_err(), "closing does not wait for it");
    assert!(MemoryLog::new().scrub(Progress::default(), FAST).await.is_err());
}
