//! Erasing personal data: the key at once, what read models made of it in the background.

use std::sync::Arc;
use std::time::Duration;

use tidewire_api::personal::ErasedSubject;
use tidewire_engine::{Clock as _, SystemClock};
use tidewire_log::{
    Erasure, EventLog, KnownKeyBackup, LogError, PersonalError, destroy_expired_key_backups, erase, finish_erasure,
    known_key_backups, unfinished_erasures,
};
use tidewire_model::event::StreamName;
use tidewire_model::position::Position;

use super::Core;

/// Pause before what failed is tried again.
const RETRY: Duration = Duration::from_secs(30);
/// Between looks for files with keys that have expired.
const LOOK_FOR_EXPIRED: Duration = Duration::from_secs(60 * 60);

impl Core {
    /// Erases the data of a stream. Read models are made anew in the background; see [`Core::finish_erasures`].
    ///
    /// # Errors
    /// As [`erase`] says.
    pub async fn erase(self: &Arc<Self>, stream: &StreamName, actor: &str) -> Result<Erasure, PersonalError> {
        // From before the key goes until nothing of it is left, nobody reads what read models made of it.
        self.projections.withhold(stream);
        let erased = erase(&*self.log, stream, actor).await;
        if erased.is_err() {
            let unfinished = unfinished_erasures(&*self.log).await;
            if unfinished.is_ok_and(|all| all.iter().all(|(_, of)| of != stream)) {
                self.projections.show_again(stream);
            }
        }
        let erasure = erased?;
        self.finish_erasures_beside();
        Ok(erasure)
    }

    /// What an erasure did, for whoever asked for it.
    pub fn told(&self, stream: &StreamName, erasure: &Erasure) -> ErasedSubject {
        ErasedSubject {
            stream: stream.to_string(),
            key_id: erasure.key_id.to_string(),
            position: (erasure.position != Position::ZERO).then(|| erasure.position.get()),
            in_clear: erasure.in_clear,
            restorable_until: self.restorable_until(),
        }
    }

    /// Withholds what erasures that were interrupted have left, before anybody can ask for it.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn withhold_erased(&self) -> Result<(), LogError> {
        for (_, stream) in unfinished_erasures(&*self.log).await? {
            self.projections.withhold(&stream);
        }
        Ok(())
    }

    /// As [`Core::finish_erasures`], in a task of its own, until it succeeds or the log is closed.
    fn finish_erasures_beside(self: &Arc<Self>) {
        let core = Arc::downgrade(self);
        tokio::spawn(async move {
            while let Some(core) = core.upgrade() {
                match core.finish_erasures().await {
                    Ok(()) => return,
                    Err(reason) => tracing::warn!(reason, "traces of erased data remain, trying again"),
                }
                if core.log.is_closed() {
                    return;
                }
                drop(core);
                tokio::time::sleep(RETRY).await;
            }
        });
    }

    /// The files with keys that were made here and have not expired.
    ///
    /// # Errors
    /// When the list of them cannot be read.
    pub fn key_backups(&self) -> Result<Vec<KnownKeyBackup>, String> {
        let bodies = self.log.bodies();
        bodies.keys_folder().map_or(Ok(Vec::new()), known_key_backups)
    }

    /// Until when a key that is erased now can come back from one of them.
    fn restorable_until(&self) -> Option<i64> {
        let known = self.key_backups().unwrap_or_else(|reason| {
            tracing::warn!(reason, "files with keys that were made here are not known");
            Vec::new()
        });
        known.iter().map(|known| known.expires).max()
    }

    /// Does in the background what has to be done for keys: what an interrupted erasure left, and files that expire.
    pub fn look_after_keys(self: &Arc<Self>) {
        self.finish_erasures_beside();
        self.expire_key_backups_beside();
    }

    /// Destroys files with keys that have expired, now and then, until the log is closed.
    fn expire_key_backups_beside(self: &Arc<Self>) {
        let core = Arc::downgrade(self);
        tokio::spawn(async move {
            while let Some(core) = core.upgrade().filter(|core| !core.log.is_closed()) {
                let bodies = core.log.bodies();
                drop(core);
                let destroyed = tokio::task::spawn_blocking(move || {
                    let now = SystemClock.now_ms();
                    bodies.keys_folder().map_or(Ok(Vec::new()), |keys| destroy_expired_key_backups(keys, now))
                });
                match destroyed.await {
                    Ok(Ok(files)) => {
                        files.iter().for_each(|file| tracing::info!(file = %file.display(), "expired keys destroyed"));
                    }
                    Ok(Err(reason)) => tracing::warn!(reason, "expired keys were not destroyed"),
                    // It ends.
                    Err(_) => return,
                }
                tokio::time::sleep(LOOK_FOR_EXPIRED).await;
            }
        });
    }

    /// Removes what read models hold of erased streams, also of those whose erasure was interrupted.
    ///
    /// # Errors
    /// A text that says what could not be read or written; it goes on at the next start.
    pub async fn finish_erasures(&self) -> Result<(), String> {
        let _one_at_a_time = self.erasing.lock().await;
        let unfinished = unfinished_erasures(&*self.log).await.map_err(|error| error.full_text())?;
        for (key, stream) in unfinished {
            let count = self.projections.forget(&stream).await.map_err(|error| error.text)?;
            finish_erasure(&*self.log, &key).await.map_err(|error| error.to_string())?;
            tracing::info!(%stream, read_models = count, "traces of erased data removed");
        }
        Ok(())
    }
}
