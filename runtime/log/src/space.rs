//! Watches the room that the log has, and says when to warn and when to take no more events.
//!
//! Two things can run out: the disk, and the budget that a person set. On a large disk a share of it would stop the log
//! with much room left, so there the absolute room counts. Once events are refused, it takes some more room than that
//! to go on, so that it does not flicker.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tidewire_model::usage::SpaceLevel;

/// Warn when a disk has less than this left …
const DISK_WARN: u64 = 5 << 30;
/// … and refuse when it has less than this, or 10 % of it, whichever is less.
const DISK_REFUSE: u64 = 1 << 30;
/// How long a figure of the folder's size is good for.
const GOOD_FOR: Duration = Duration::from_secs(5);

/// What the disk has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Disk {
    pub(crate) free: u64,
    pub(crate) total: u64,
}

/// Bytes of the parts of a log folder.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Parts {
    pub(crate) journal: u64,
    pub(crate) archive: u64,
    pub(crate) content: u64,
    pub(crate) store: u64,
}

impl Parts {
    pub(crate) const fn sum(&self) -> u64 {
        self.journal + self.archive + self.content + self.store
    }
}

/// Watches one log folder.
pub(crate) struct Space {
    folder: PathBuf,
    /// What the folder may take; 0 when nobody said.
    limit: AtomicU64,
    /// What it took when it was measured last.
    measured: Mutex<Option<(Instant, Parts)>>,
    level: Mutex<SpaceLevel>,
}

impl Space {
    pub(crate) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            limit: AtomicU64::new(0),
            measured: Mutex::default(),
            level: Mutex::default(),
        }
    }

    /// Says what the folder may take.
    pub(crate) fn set_limit(&self, limit: Option<u64>) {
        self.limit.store(limit.unwrap_or(0), Ordering::Relaxed);
    }

    /// What the folder may take.
    pub(crate) fn limit(&self) -> Option<u64> {
        Some(self.limit.load(Ordering::Relaxed)).filter(|limit| *limit > 0)
    }

    /// What the disk has; `None` when it cannot be asked.
    pub(crate) fn disk(&self) -> Option<Disk> {
        let disk = rustix::fs::statvfs(&self.folder).ok()?;
        let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
        Some(Disk { free: bytes(disk.f_bavail), total: bytes(disk.f_blocks) })
    }

    /// Measures the folder. It reads folders, no files.
    pub(crate) fn measure(&self) -> Parts {
        let journal = |name: &str| !name.ends_with(".archive");
        let parts = Parts {
            journal: bytes_in(&self.folder.join("journal"), &journal),
            archive: bytes_in(&self.folder.join("journal"), &|name| !journal(name)),
            content: bytes_in(&self.folder.join("content"), &|_| true),
            store: bytes_in(&self.folder.join("sled"), &|_| true),
        };
        *self.measured.lock() = Some((Instant::now(), parts));
        parts
    }

    /// Measures the folder if a budget depends on it, and not too often.
    pub(crate) fn refresh(&self) {
        let old = self.measured.lock().is_none_or(|(at, _)| at.elapsed() >= GOOD_FOR);
        if old && self.limit().is_some() {
            self.measure();
        }
    }

    /// How the room is now.
    pub(crate) fn level(&self) -> SpaceLevel {
        let used = self.measured.lock().map(|(_, parts)| parts.sum());
        let mut level = self.level.lock();
        let now = judge(*level, self.disk(), used.zip(self.limit()));
        if now != *level {
            match now {
                SpaceLevel::Normal => tracing::info!("event log has room again"),
                SpaceLevel::Warning => tracing::warn!("event log runs out of room"),
                SpaceLevel::Refusing => tracing::error!("event log refuses events, there is no room"),
            }
        }
        *level = now;
        now
    }

    /// Why new events are refused, if they are.
    pub(crate) fn refusal(&self) -> Option<String> {
        (self.level() == SpaceLevel::Refusing).then(|| {
            let disk = self.disk().map(|disk| format!("the disk has {} left", human(disk.free)));
            let limit = self.limit().map(|limit| format!("the log may take {}", human(limit)));
            let facts: Vec<_> = disk.into_iter().chain(limit).collect();
            format!(
                "{}; set retention policies, free some space or allow the log more, it then goes on by itself",
                facts.join(", ")
            )
        })
    }
}

/// Decides from the level before, the disk, and what is used of the budget.
fn judge(before: SpaceLevel, disk: Option<Disk>, budget: Option<(u64, u64)>) -> SpaceLevel {
    let of_disk = disk.map_or(SpaceLevel::Normal, |disk| {
        let refuse = (disk.total / 10).min(DISK_REFUSE);
        let warn = (disk.total / 5).min(DISK_WARN);
        level(before, disk.free < refuse, disk.free < refuse + refuse / 5, disk.free < warn)
    });
    let of_budget = budget.map_or(SpaceLevel::Normal, |(used, limit)| {
        let above = |percent: u64| used as f64 > limit as f64 * percent as f64 / 100.0;
        level(before, above(90), above(88), above(80))
    });
    of_disk.max(of_budget)
}

const fn level(before: SpaceLevel, refuse: bool, keep_refusing: bool, warn: bool) -> SpaceLevel {
    match before {
        _ if refuse => SpaceLevel::Refusing,
        SpaceLevel::Refusing if keep_refusing => SpaceLevel::Refusing,
        _ if warn || keep_refusing => SpaceLevel::Warning,
        _ => SpaceLevel::Normal,
    }
}

/// Bytes on disk of the files in a folder and below whose names are meant.
fn bytes_in(folder: &Path, meant: &dyn Fn(&str) -> bool) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let bytes = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes_in(&entry.path(), meant),
        Ok(metadata) if meant(&entry.file_name().to_string_lossy()) => metadata.blocks() * 512,
        _ => 0,
    };
    entries.map(bytes).sum()
}

fn human(bytes: u64) -> String {
    let units = [("GiB", 30), ("MiB", 20), ("KiB", 10)];
    let unit = units.iter().find(|(_, shift)| bytes >> shift > 0);
    unit.map_or(format!("{bytes} bytes"), |(name, shift)| {
        format!("{:.1} {name}", bytes as f64 / (1_u64 << shift) as f64)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use SpaceLevel::{Normal, Refusing, Warning};

    #[test]
    fn levels_follow_disk_and_budget_and_do_not_flicker() {
        let small = |free| Some(Disk { free, total: 1000 });
        for (before, free, after) in [
            (Normal, 300, Normal),
            (Normal, 150, Warning),
            (Warning, 99, Refusing),
            (Refusing, 110, Refusing),
            (Refusing, 121, Warning),
            (Warning, 110, Warning),
            (Warning, 300, Normal),
        ] {
            assert_eq!(judge(before, small(free), None), after, "{before:?} {free}");
        }
        for (before, used, after) in [
            (Normal, 79, Normal),
            (Normal, 81, Warning),
            (Warning, 91, Refusing),
            (Refusing, 89, Refusing),
            (Refusing, 87, Warning),
        ] {
            assert_eq!(judge(before, small(900), Some((used, 100))), after, "{before:?} {used}");
        }
        // A large disk that is nearly full still has much room.
        let large = |free: u64| Some(Disk { free: free << 30, total: 1000 << 30 });
        assert_eq!(judge(Normal, large(20), None), Normal);
        assert_eq!(judge(Normal, large(4), None), Warning);
        assert_eq!(judge(Normal, large(0), None), Refusing);
        assert_eq!(judge(Normal, None, None), Normal);
    }

    #[test]
    fn parts_are_measured_by_what_they_are() {
        let folder = tempfile::tempdir().unwrap();
        for (path, len) in
            [("journal/1.journal", 5000), ("journal/1.archive", 9000), ("content/aa/x", 100), ("sled/db", 20_000)]
        {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, vec![1; len]).unwrap();
        }
        let parts = Space::new(folder.path()).measure();
        assert!(parts.journal >= 5000 && parts.archive >= 9000 && parts.content >= 100 && parts.store >= 20_000);
        assert!(parts.journal < parts.archive && parts.archive < parts.store, "{parts:?}");
    }
}
