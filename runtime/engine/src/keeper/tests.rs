#![allow(clippy::unwrap_used)]
use bytes::Bytes;
use parking_lot::Mutex;
use tidewire_log::MemoryLog;
use tidewire_node_api::AckSink;

use super::*;
use crate::log_handle::LogHandle;
use crate::replay::clock::VirtualClock;

fn change(key: &str, len: usize) -> StateChange {
    StateChange { key: key.into(), value: Some(Bytes::from(vec![7; len])) }
}

fn keeper(clock: &VirtualClock) -> (Keeper, Arc<LogHandle>) {
    let log = Arc::new(LogHandle::new(Arc::new(MemoryLog::new())));
    (Keeper::new(log.clone(), Arc::new(clock.clone()), &tokio::runtime::Handle::current()), log)
}

/// How tokens ended, in order.
#[derive(Default)]
struct Ends(Mutex<Vec<(u64, Outcome)>>);

impl AckSink for Ends {
    fn complete(&self, id: u64, outcome: Outcome) {
        self.0.lock().push((id, outcome));
    }
}

/// Lets the keeper's task do all it can.
async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_changes_often_is_written_now_and_then_and_before_a_flush_ends() {
    let clock = VirtualClock::starting_at(1_000);
    let (keeper, _log) = keeper(&clock);
    let written = Arc::new(AtomicUsize::new(0));
    let write = || {
        let written = written.clone();
        keeper.keep_latest(Box::new(move || {
            written.fetch_add(1, Ordering::Relaxed);
            change("count", 8)
        }));
    };
    let count = || written.load(Ordering::Relaxed);
    write();
    settle().await;
    assert_eq!(count(), 1, "at once after a rest");
    write();
    keeper.keep(change("other", 8), None);
    settle().await;
    assert_eq!(count(), 1);
    clock.advance(1_000 + LATEST_MS);
    settle().await;
    assert_eq!(count(), 2);
    write();
    keeper.flush().await;
    assert_eq!(count(), 3);
}

#[tokio::test]
async fn more_than_the_log_takes_at_once_goes_in_parts() {
    let (keeper, log) = keeper(&VirtualClock::starting_at(1_000));
    let ends = Arc::new(Ends::default());
    for key in 0..5 {
        keeper.keep(change(&format!("part/{key}"), COMMIT_BYTES_MAX * 3 / 4), Some(Token::new(ends.clone(), key)));
    }
    keeper.flush().await;
    assert_eq!(*ends.0.lock(), (0..5).map(|key| (key, Outcome::Done)).collect::<Vec<_>>(), "in order");
    assert_eq!(log.records("part/").await.unwrap().len(), 5);
}
