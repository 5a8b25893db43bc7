//! What the log takes, what grows, and when it will be full.

use tidewire_model::usage::{SpaceLevel, Usage};

use crate::space::{Disk, Parts};
use crate::{EventLog, LogError};

/// Days that the growth is taken from.
const DAYS: i64 = 7;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Puts the figures together.
pub(crate) async fn usage(
    log: &dyn EventLog,
    now: i64,
    parts: Parts,
    disk: Option<Disk>,
    max_bytes: Option<u64>,
    level: SpaceLevel,
) -> Result<Usage, LogError> {
    let head = log.head();
    let mut usage = Usage {
        journal_bytes: parts.journal,
        archive_bytes: parts.archive,
        content_bytes: parts.content,
        store_bytes: parts.store,
        total_bytes: parts.sum(),
        disk_free_bytes: disk.map(|disk| disk.free),
        disk_total_bytes: disk.map(|disk| disk.total),
        max_bytes,
        level,
        head,
        ..Usage::default()
    };
    let since = log.position_at_time(now - DAYS * DAY_MS).await?;
    let newer = (head.get() + 1).saturating_sub(since.get());
    if newer > 0
        && let Some(first) = log.event_at(since).await?
    {
        // A young log is taken by the hours that it has lived.
        let days = ((now - first.recorded_time) as f64 / DAY_MS as f64).clamp(1.0 / 24.0, DAYS as f64);
        usage.events_per_day = newer as f64 / days;
        usage.bytes_per_day = usage.events_per_day * usage.total_bytes as f64 / head.get().max(1) as f64;
    }
    if usage.bytes_per_day > 0.0 {
        let of_disk = disk.map(|disk| disk.free.saturating_sub((disk.total / 10).min(1 << 30)));
        let of_budget = max_bytes.map(|max| (max / 10 * 9).saturating_sub(usage.total_bytes));
        let room = of_disk.into_iter().chain(of_budget).min();
        usage.days_left = room.map(|room| room as f64 / usage.bytes_per_day);
    }
    Ok(usage)
}
