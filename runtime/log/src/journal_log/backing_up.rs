//! A backup while the log runs.

use std::path::PathBuf;
use std::sync::Arc;

use super::JournalLog;
use crate::LogError;
use crate::backup::{BackupError, Contents, Others, Progress, Report, back_up};

impl JournalLog {
    /// As [`crate::EventLog::back_up`] says. Closing the log cancels it.
    pub(super) async fn back_up_to(
        &self,
        to: PathBuf,
        others: Others,
        progress: Progress,
    ) -> Result<Report, BackupError> {
        // Nothing goes that a copied event refers to.
        let _kept = self.inner.sweeping.lock().await;
        let shared = Arc::clone(&self.inner.shared);
        // The journal is open once the store is.
        shared.store().await?;
        let mut head = shared.head.subscribe();
        let mut work = {
            let (shared, progress) = (Arc::clone(&shared), progress.clone());
            tokio::task::spawn_blocking(move || {
                // Segments stay where they are meanwhile.
                let _stay = shared.archives.lock();
                // Before the commit is known: the snapshots that it knows are there then.
                let _snapshots_stay = shared.snapshots.stay();
                let (commit, now) = (shared.live.read().commit, crate::plan::wall_clock());
                let contents = Contents { log: shared.folder().to_owned(), commit: Some(commit), others, now };
                back_up(&contents, &to, &progress)
            })
        };
        loop {
            tokio::select! {
                done = &mut work => return done.unwrap_or_else(|error| Err(LogError::Store(error.to_string()).into())),
                // It is notified when the log closes, too.
                _ = head.changed() => if shared.is_closing() {
                    progress.cancel();
                    return work.await.unwrap_or(Err(BackupError::Cancelled));
                },
            }
        }
    }
}
