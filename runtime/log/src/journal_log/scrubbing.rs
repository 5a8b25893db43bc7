//! Reading everything that is stored in the background, so that damage is found while there are backups without it.

use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tidewire_model::append::StateChange;

use super::JournalLog;
use crate::backup::Progress;
use crate::personal::own_event;
use crate::shared::Shared;
use crate::verify::{Pass, Step, verify_journal};
use crate::{Commit, EventLog, LogError, Verified, lists, reader, snapshots};

/// The type of the event that tells of a scrub.
pub const SCRUBBED: &str = "tidewire.log.scrubbed";
/// The state that tells of the last one.
const LAST: &str = "scrub/last";
/// So many problems are told one by one.
const PROBLEMS_MAX: usize = 100;

/// What the last scrub of a log found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LastScrub {
    /// When it ended, in milliseconds since 1970.
    pub ended: i64,
    /// How many events were read.
    pub events: u64,
    /// How many bytes of records.
    pub bytes: u64,
    /// How much is wrong.
    pub damaged: u64,
    /// What is wrong, as far as it fits.
    pub problems: Vec<String>,
}

/// What the last scrub of a log found, if there ever was one.
///
/// # Errors
/// When the log cannot be read.
pub async fn last_scrub(log: &dyn EventLog) -> Result<Option<LastScrub>, LogError> {
    Ok(log.state(LAST.into()).await?.and_then(|stored| serde_json::from_slice(&stored).ok()))
}

impl JournalLog {
    /// As [`EventLog::scrub`] says. Closing the log stops it.
    pub(super) async fn scrub_slowly(&self, progress: Progress, bytes_per_second: u64) -> Result<LastScrub, LogError> {
        let _one_at_a_time = self.inner.scrubbing.lock().await;
        let shared = std::sync::Arc::clone(&self.inner.shared);
        shared.store().await?;
        let verified = crate::blocking(move || scrub(&shared, &progress, bytes_per_second)).await?;
        let last = LastScrub {
            ended: (self.inner.clock)(),
            events: verified.events,
            bytes: verified.bytes,
            damaged: verified.problems.len() as u64,
            problems: verified.problems.into_iter().take(PROBLEMS_MAX).collect(),
        };
        self.tell_of_scrub(&last).await;
        Ok(last)
    }

    /// Notes what was found: for who looks at the log's health now, and in the log for later.
    async fn tell_of_scrub(&self, last: &LastScrub) {
        let shared = &self.inner.shared;
        for problem in &last.problems {
            tracing::error!(problem, "the event log is damaged");
            shared.notice_once(format!("damaged: {problem}"));
        }
        if last.damaged > last.problems.len() as u64 {
            shared
                .notice_once(format!("damaged: {} more, see `log verify`", last.damaged - last.problems.len() as u64));
        }
        let data = serde_json::json!(last);
        let value = serde_json::to_vec(last).map(Bytes::from).ok();
        let commit = Commit {
            requests: vec![own_event(SCRUBBED, &data, "tidewire", None)],
            state: vec![StateChange { key: LAST.into(), value }],
        };
        if let Err(error) = self.commit(commit).await {
            tracing::warn!(%error, "a scrub is over and could not be noted");
        }
    }
}

fn scrub(shared: &Shared, progress: &Progress, bytes_per_second: u64) -> Result<Verified, LogError> {
    let began = Instant::now();
    // What comes later is the next one's business.
    let through = shared.live.read().commit;
    let mut watch = |step: Step| {
        progress.set(step.done, step.total);
        let due = Duration::from_secs_f64(step.read as f64 / bytes_per_second.max(1) as f64);
        // In short pieces, so that it can be cancelled.
        while let Some(early) = due.checked_sub(began.elapsed())
            && !progress.is_cancelled()
        {
            if shared.wait_for_closing(early.min(Duration::from_millis(200))) {
                return false;
            }
        }
        !progress.is_cancelled() && !shared.is_closing()
    };
    // Retention may have dropped it, and collected its files, since it was read. Nobody keeps the store: it may have to be
    // opened anew meanwhile.
    let is_gone = |position| {
        let store = shared.store_now().and_then(Result::ok);
        store.is_some_and(|store| reader::event_at(shared, &store, position).is_ok_and(|event| event.is_none()))
    };
    let pass = Pass { watch: &mut watch, through: Some(through), is_gone: &is_gone };
    let (mut verified, _) = verify_journal(shared.folder(), pass)?;
    // As they are now: those that were read of may have been replaced since.
    let _stay = shared.snapshots.stay();
    let known = lists::states(shared, &*shared.wait_for_store()?, snapshots::REGISTER)?;
    verified.problems.extend(snapshots::problems(shared.folder(), known.iter().map(|(_, value)| value)));
    Ok(verified)
}
