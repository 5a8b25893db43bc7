//! How far back a repeated event id is recognised: exactly as far as it says, by either engine, also after a restart and
//! after the store was rebuilt.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tidewire_log::{EventLog, IdWindow, JournalLog, JournalOptions, MemoryLog};
use tidewire_model::append::{AppendError, AppendRequest};
use tidewire_model::event::{NewEvent, StreamName};

const WINDOW: IdWindow = IdWindow { events: 10, ms: 60_000 };

#[derive(Clone, Default)]
struct Clock(Arc<AtomicI64>);

impl Clock {
    fn advance(&self, ms: i64) {
        self.0.fetch_add(ms, Ordering::Relaxed);
    }

    fn read(&self) -> impl Fn() -> i64 + Send + Sync + 'static {
        let time = Arc::clone(&self.0);
        move || time.load(Ordering::Relaxed)
    }
}

fn journal(folder: &Path, clock: &Clock) -> Arc<dyn EventLog> {
    let options = JournalOptions {
        keep_events: 0,
        clock: Arc::new(clock.read()),
        id_window: WINDOW,
        ..JournalOptions::default()
    };
    Arc::new(JournalLog::open_with(folder, options).unwrap())
}

async fn append(log: &Arc<dyn EventLog>, id: &str, n: u64) -> Result<(u64, bool), AppendError> {
    let event = NewEvent::json("read", &serde_json::json!({ "n": n })).with_id(id);
    let appended = log.append(vec![AppendRequest::one(StreamName::new("thing-1").unwrap(), event)]).await?;
    Ok((appended[0].first_position.get(), appended[0].deduplicated))
}

async fn others(log: &Arc<dyn EventLog>, count: usize) {
    for n in 0..count {
        let event = NewEvent::json("read", &serde_json::json!({ "other": n }));
        log.append(vec![AppendRequest::one(StreamName::new("thing-2").unwrap(), event)]).await.unwrap();
    }
}

/// Goes through the window; with a folder, the log is also opened again, and with its store rebuilt.
async fn check(mut log: Arc<dyn EventLog>, clock: Clock, folder: Option<&Path>) {
    assert_eq!(append(&log, "a", 1).await.unwrap(), (1, false));
    // Old by time, but among the newest events.
    clock.advance(90_000);
    others(&log, 8).await;
    assert_eq!(append(&log, "a", 1).await.unwrap(), (1, true));
    assert!(matches!(append(&log, "a", 2).await, Err(AppendError::DuplicateId { .. })));
    // Young by time, but not among the newest events.
    assert_eq!(append(&log, "b", 1).await.unwrap(), (10, false));
    clock.advance(59_000);
    others(&log, 30).await;
    assert_eq!(append(&log, "b", 1).await.unwrap(), (10, true));
    for rebuild in [false, true] {
        let Some(folder) = folder else { break };
        log.close().await;
        if rebuild {
            std::fs::remove_dir_all(folder.join("sled")).unwrap();
        }
        log = journal(folder, &clock);
        log.ready().await.unwrap();
        assert_eq!(append(&log, "b", 1).await.unwrap(), (10, true), "rebuilt: {rebuild}");
    }
    assert_eq!(append(&log, "a", 1).await.unwrap(), (41, false), "outside of both it counts as new");
    let newest = log.event_by_id("a".into()).await.unwrap().unwrap();
    assert_eq!(newest.position.get(), 41, "and the newest is the one that is found");
    clock.advance(1_000);
    assert_eq!(append(&log, "b", 7).await.unwrap(), (42, false), "a minute later to the millisecond");
    log.close().await;
}

#[tokio::test]
async fn in_memory() {
    let clock = Clock::default();
    check(Arc::new(MemoryLog::with_window(clock.read(), WINDOW)), clock, None).await;
}

#[tokio::test]
async fn on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::default();
    check(journal(folder.path(), &clock), clock, Some(folder.path())).await;
}
