//! Reading from the store, which may be opened anew meanwhile: what was read then may lack something.

use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tidewire_model::event::Event;
use tidewire_model::query::{Page, Query};

use super::JournalLog;
use crate::shared::Shared;
use crate::store::{Store, panic_text};
use crate::{EventLog as _, LogError, Take, reader};

impl JournalLog {
    /// Runs something that blocks on the store, once that is open.
    pub(super) async fn with_store<T: Send + 'static>(
        &self,
        work: impl Fn(&Shared, &Store) -> Result<T, LogError> + Send + Sync + 'static,
    ) -> Result<T, LogError> {
        let work = Arc::new(work);
        loop {
            let store = self.inner.shared.store().await?;
            let (shared, work) = (Arc::clone(&self.inner.shared), Arc::clone(&work));
            let used = Arc::downgrade(&store);
            let done = tokio::task::spawn_blocking(move || work(&shared, &store)).await;
            // What was read while the store was opened anew may lack something.
            if used.upgrade().is_some_and(|store| self.inner.shared.is_current(&store)) {
                return self.inner.shared.judge(done.unwrap_or_else(|error| Err(LogError::Store(error.to_string()))));
            }
        }
    }

    /// See [`crate::EventLog::read_through`].
    pub(super) fn hand_through(&self, query: &Query, take: &mut Take<'_>) -> Result<Page, LogError> {
        let shared = &self.inner.shared;
        let store = shared.wait_for_store()?;
        let (used, mut reached) = (Arc::downgrade(&store), query.from);
        // The last hold on a store that failed is let go of in here, too.
        let read = catch_unwind(AssertUnwindSafe(|| {
            let store = store;
            let mut current = |events: &[Arc<Event>]| {
                if !shared.is_current(&store) {
                    return ControlFlow::Break(());
                }
                reached = events.last().map_or(reached, |event| event.position.next());
                take(events)
            };
            reader::read(shared, &store, query, Some(&mut current))
        }));
        if used.upgrade().is_some_and(|store| shared.is_current(&store)) {
            return shared.judge(read.unwrap_or_else(|panic| Err(LogError::Store(panic_text(&*panic)))));
        }
        Ok(Page { events: Vec::new(), next: Some(reached), head: self.head() })
    }
}
