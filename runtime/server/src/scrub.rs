//! Reads the whole event log now and then, slowly, so that damage is found while there are backups without it.

use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tidewire_api::log::{Scrub, Scrubbed};
use tidewire_log::backup::Progress;
use tidewire_log::{EventLog as _, LogError, last_scrub};
use tokio_util::sync::CancellationToken;

use crate::app::{App, Core};

/// How much is read per second: little beside what disks can do.
const BYTES_PER_SECOND: u64 = 8 * 1024 * 1024;
/// How often it is looked whether it is time.
const LOOK_EVERY: Duration = Duration::from_secs(60 * 60);
/// The first look, once the start is over.
const FIRST: Duration = Duration::from_secs(10 * 60);

/// The scrub under way, if one is.
#[derive(Default)]
pub struct Scrubs {
    current: Mutex<Option<Progress>>,
}

impl Scrubs {
    /// Begins one; false when one is under way.
    pub fn begin(&self, core: &Arc<Core>) -> bool {
        let progress = Progress::default();
        {
            let mut current = self.current.lock();
            if current.is_some() {
                return false;
            }
            *current = Some(progress.clone());
        }
        let core = Arc::clone(core);
        tokio::spawn(async move {
            match core.log.scrub(progress, BYTES_PER_SECOND).await {
                Ok(done) => tracing::info!(events = done.events, damaged = done.damaged, "event log read through"),
                Err(LogError::Cancelled | LogError::Closed) => {}
                Err(error) => tracing::warn!(error = error.full_text(), "event log not read through"),
            }
            core.scrubs.current.lock().take();
        });
        true
    }

    /// Gives up the one under way.
    pub fn cancel(&self) {
        if let Some(progress) = &*self.current.lock() {
            progress.cancel();
        }
    }

    /// How far the one under way is, and what the last one found.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn tell(&self, core: &Core) -> Result<Scrub, LogError> {
        let last = last_scrub(&*core.log).await?.map(|last| Scrubbed {
            ended: last.ended,
            events: last.events,
            bytes: last.bytes,
            damaged: last.damaged,
            problems: last.problems,
        });
        let bytes = self.current.lock().as_ref().map(Progress::bytes);
        let (done_bytes, total_bytes) = bytes.unwrap_or_default();
        Ok(Scrub { running: bytes.is_some(), done_bytes, total_bytes, last })
    }
}

/// Begins one whenever the last one is so many days ago, until the server stops.
pub async fn keep(app: App, core: Weak<Core>, days: u32, shutdown: CancellationToken) {
    let mut pause = FIRST;
    loop {
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        pause = LOOK_EVERY;
        let Some(core) = core.upgrade() else { return };
        let since = app.now_ms() - i64::from(days) * 24 * 60 * 60 * 1000;
        match last_scrub(&*core.log).await {
            Ok(last) if last.as_ref().is_none_or(|last| last.ended < since) => {
                core.scrubs.begin(&core);
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(error = error.full_text(), "event log not read through"),
        }
    }
}
