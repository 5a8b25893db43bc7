//! Archiving on demand.

use super::JournalLog;
use crate::{LogError, archivist};

impl JournalLog {
    /// Archives now what would be archived soon: closed segments that the store has as a whole.
    ///
    /// # Errors
    /// When files cannot be read or written; the segments stay as they are then.
    pub async fn archive(&self) -> Result<(), LogError> {
        let folder = self.inner.journal_folder.clone();
        self.with_store(move |shared, store| archivist::archive_now(shared, store, &folder)).await
    }
}
