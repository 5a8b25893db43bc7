//! Collecting content files that no event refers to any more: what a crash left behind before its commit, and what
//! retention dropped.

use tidewire_model::append::AppendError;

use super::JournalLog;
use crate::reader::Blocks;
use crate::shared::Shared;
use crate::store::Store;
use crate::{Commit, EventLog, LogError, Swept};

impl JournalLog {
    /// Removes content files that no event refers to. Appends go on meanwhile. It reads the whole log.
    ///
    /// # Errors
    /// When the log cannot be read or a file not removed; what is referred to stays in any case.
    pub async fn sweep_content(&self) -> Result<Swept, LogError> {
        let _one_at_a_time = self.inner.sweeping.lock().await;
        let bodies = self.bodies();
        if bodies.begin_sweep().is_none() {
            return Ok(Swept::default());
        }
        // What was put before now is committed, or never will be, once everything that was queued is.
        if let Err(error) = self.commit(Commit::default()).await {
            bodies.give_up_sweep();
            return Err(match error {
                AppendError::Closed => LogError::Closed,
                other => LogError::Store(other.to_string()),
            });
        }
        let swept = self.with_store(mark_and_sweep).await;
        bodies.give_up_sweep();
        swept
    }
}

fn mark_and_sweep(shared: &Shared, store: &Store) -> Result<Swept, LogError> {
    let mut referred = std::collections::HashSet::new();
    let mut blocks = Blocks::new(store);
    let mut in_store = 0;
    let head = shared.live.read().head;
    for position in 1..=head {
        let event = if position <= in_store {
            blocks.get(position)?
        } else {
            let live = shared.live.read();
            in_store = live.tail_first() - 1;
            let event = live.in_tail(position).cloned();
            drop(live);
            if event.is_none() { blocks.get(position)? } else { event }
        };
        referred.extend(event.iter().flat_map(|event| crate::content::references(event)));
    }
    shared.bodies.sweep(&referred)
}
