//! Erasing personal data: the key at once, what read models made of it in the background.

use std::sync::Arc;
use std::time::Duration;

use tidewire_log::{Erasure, EventLog, PersonalError, erase, finish_erasure, unfinished_erasures};
use tidewire_model::event::StreamName;

use super::Core;

/// Pause before what failed is tried again.
const RETRY: Duration = Duration::from_secs(30);

impl Core {
    /// Erases the data of a stream. Read models are made anew in the background; see [`Core::finish_erasures`].
    ///
    /// # Errors
    /// As [`erase`] says.
    pub async fn erase(self: &Arc<Self>, stream: &StreamName, actor: &str) -> Result<Erasure, PersonalError> {
        let erasure = erase(&*self.log, stream, actor).await?;
        self.finish_erasures_beside();
        Ok(erasure)
    }

    /// As [`Core::finish_erasures`], in a task of its own, until it succeeds or the log is closed.
    pub fn finish_erasures_beside(self: &Arc<Self>) {
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
