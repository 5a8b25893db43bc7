//! Archiving on demand, and what the log takes.

use std::collections::BTreeMap;
use std::path::Path;

use super::JournalLog;
use crate::journal::archive::archive_name;
use crate::journal::segment;
use crate::journal::summary::Summary;
use crate::shared::Shared;
use crate::store::Store;
use crate::usage::usage;
use crate::{LogError, Usage, UsageGroup, archivist};

impl JournalLog {
    /// Archives now what would be archived soon: closed segments that the store has as a whole.
    ///
    /// # Errors
    /// When files cannot be read or written; the segments stay as they are then.
    pub async fn archive(&self) -> Result<(), LogError> {
        let folder = self.inner.journal_folder.clone();
        self.with_store(move |shared, store| archivist::archive_now(shared, store, &folder)).await
    }

    pub(super) async fn measure_usage(&self) -> Result<Usage, LogError> {
        let folder = self.inner.journal_folder.clone();
        let work = move |shared: &Shared, _: &Store| Ok((shared.space.measure(), archived(&folder)?));
        let (parts, archived) = self.with_store(work).await?;
        let space = &self.inner.shared.space;
        let usage = usage(self, (self.inner.clock)(), parts, space.disk(), space.limit(), space.level()).await?;
        Ok(Usage { archived, ..usage })
    }
}

/// What is in the archives, the largest first.
fn archived(folder: &Path) -> Result<Vec<UsageGroup>, LogError> {
    let mut groups: BTreeMap<(String, String), UsageGroup> = BTreeMap::new();
    for segment in segment::list(folder)? {
        // A damaged one is for `verify` to tell.
        let Ok((_, summary)) = Summary::of(&folder.join(archive_name(segment.number))) else { continue };
        for group in summary.groups {
            let sum = groups.entry((group.category.clone(), group.event_type.clone())).or_insert_with(|| UsageGroup {
                category: group.category,
                event_type: group.event_type,
                ..UsageGroup::default()
            });
            sum.events += group.events;
            sum.bytes += group.bytes;
        }
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.bytes));
    Ok(groups)
}
