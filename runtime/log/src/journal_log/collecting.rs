//! Collecting content files that no event refers to any more: what a crash left behind before its commit, and what
//! retention dropped.

use std::collections::HashSet;

use tidewire_model::append::AppendError;

use super::JournalLog;
use crate::content::references;
use crate::reader::Blocks;
use crate::shared::Shared;
use crate::store::Store;
use crate::{Commit, EventLog, LogError, SpaceLevel, Swept};

/// So many bytes of content that nobody refers to are left lying until the next start.
const ORPHANS_MIN: u64 = 16 * 1024 * 1024;

impl JournalLog {
    /// Whether content that nobody refers to takes so much that it is worth reading the whole log.
    pub(super) fn has_orphans(&self) -> bool {
        let shared = &self.inner.shared;
        let worth = if shared.space.level() > SpaceLevel::Normal { 1 } else { ORPHANS_MIN };
        shared.bodies.orphaned() >= worth
    }

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
        // What was put before now is committed, or never will be, once everything is that was under way.
        self.inner.door.all_passed().await;
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
    let mut referred = HashSet::new();
    // Memory first: what it lets go of meanwhile is in the store by then, and what comes is younger than the collection.
    let in_store = {
        let live = shared.live.read();
        referred.extend(live.tail.iter().flat_map(|event| references(&event.body)));
        live.tail_first() - 1
    };
    let mut blocks = Blocks::new(store);
    let mut next = 1;
    while let Some(event) = blocks.at_or_after(next)?.filter(|event| event.position.get() <= in_store) {
        referred.extend(references(&event.body));
        next = event.position.get() + 1;
    }
    shared.bodies.sweep(&referred)
}
