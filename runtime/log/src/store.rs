//! The one file that talks to sled.
//!
//! sled is a disposable index behind the journal: never the reason for an acknowledgement, thrown away when it
//! does not open. What has to be known of sled 0.34 is handled here: a torn `snap.*.generating` keeps it from
//! opening, damage panics inside `open`, `flush` does not reach the disk, and values above 7 KiB could end up in
//! files that are never synced.

use std::fs::{self, File};
use std::ops::{Bound, Deref};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use crate::LogError;

/// The longest value that a tree may hold.
pub(crate) const VALUE_MAX: usize = 7 * 1024;
/// The longest key that a tree may hold.
pub(crate) const KEY_MAX: usize = 256;
const CACHE_BYTES: u64 = 64 * 1024 * 1024;

/// A part of the store with keys of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Space {
    /// Blocks, indexes and state.
    Log,
    /// Projections.
    Projections,
}

/// The store. Every call may block on the disk.
pub(crate) struct Store {
    db: sled::Db,
    log: sled::Tree,
    projections: sled::Tree,
    file: File,
}

/// Bytes that belong to the store.
#[derive(Debug, Clone)]
pub(crate) struct Slice(sled::IVec);

impl Deref for Slice {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// Changes that happen in one step.
#[derive(Default)]
pub(crate) struct Batch {
    batch: sled::Batch,
    len: usize,
    too_large: bool,
}

impl Batch {
    pub(crate) fn put(&mut self, key: &[u8], value: &[u8]) {
        self.too_large |= key.len() > KEY_MAX || value.len() > VALUE_MAX;
        self.len += 1;
        self.batch.insert(key, value);
    }

    pub(crate) fn remove(&mut self, key: &[u8]) {
        self.len += 1;
        self.batch.remove(key);
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn failed(error: sled::Error) -> LogError {
    LogError::Store(error.to_string())
}

impl Store {
    /// Opens or creates the store in a folder.
    ///
    /// # Errors
    /// A text that says why it does not open.
    pub(crate) fn open(folder: &Path) -> Result<Self, String> {
        remove_unfinished_snapshots(folder).map_err(|error| error.to_string())?;
        let open = || {
            let config = sled::Config::new().path(folder).cache_capacity(CACHE_BYTES).flush_every_ms(None);
            let db = config.open()?;
            let (log, projections) = (db.open_tree("log")?, db.open_tree("projections")?);
            Ok::<_, sled::Error>((db, log, projections))
        };
        match catch_unwind(AssertUnwindSafe(open)) {
            Ok(Ok((db, log, projections))) => {
                let file = File::open(folder.join("db")).map_err(|error| error.to_string())?;
                Ok(Self { db, log, projections, file })
            }
            Ok(Err(error)) => Err(error.to_string()),
            Err(panic) => Err(format!("it is damaged: {}", panic_text(&*panic))),
        }
    }

    const fn tree(&self, space: Space) -> &sled::Tree {
        match space {
            Space::Log => &self.log,
            Space::Projections => &self.projections,
        }
    }

    pub(crate) fn get(&self, space: Space, key: &[u8]) -> Result<Option<Slice>, LogError> {
        self.tree(space).get(key).map(|value| value.map(Slice)).map_err(failed)
    }

    /// Keys and values within bounds, ascending; `rev` gives them descending.
    pub(crate) fn range(
        &self,
        space: Space,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
    ) -> impl DoubleEndedIterator<Item = Result<(Slice, Slice), LogError>> + use<> {
        let owned = |bound: Bound<&[u8]>| bound.map(sled::IVec::from);
        let range = self.tree(space).range::<sled::IVec, _>((owned(from), owned(to)));
        range.map(|item| item.map(|(key, value)| (Slice(key), Slice(value))).map_err(failed))
    }

    /// Everything whose key begins with a prefix, ascending.
    pub(crate) fn prefix(
        &self,
        space: Space,
        prefix: &[u8],
    ) -> impl DoubleEndedIterator<Item = Result<(Slice, Slice), LogError>> + use<> {
        let range = self.tree(space).scan_prefix(prefix);
        range.map(|item| item.map(|(key, value)| (Slice(key), Slice(value))).map_err(failed))
    }

    /// Applies changes in one step: after a crash all of them are there or none.
    pub(crate) fn apply(&self, space: Space, batch: Batch) -> Result<(), LogError> {
        if batch.too_large {
            return Err(LogError::Store("a key or value exceeds what the store can keep safely".to_owned()));
        }
        self.tree(space).apply_batch(batch.batch).map_err(failed)
    }

    /// Brings everything to the disk: sled's own `flush` leaves it in the drive's cache.
    pub(crate) fn flush(&self) -> Result<(), LogError> {
        self.db.flush().map_err(failed)?;
        self.file.sync_data().map_err(|error| LogError::Store(format!("sync failed: {error}")))
    }

    /// Bytes that the store takes on disk.
    pub(crate) fn size_on_disk(&self) -> u64 {
        self.db.size_on_disk().unwrap_or_default()
    }
}

fn remove_unfinished_snapshots(folder: &Path) -> std::io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

/// Puts a store that is of no use aside and answers where it went.
pub(crate) fn quarantine(folder: &Path) -> Result<PathBuf, LogError> {
    let name = format!("quarantine-{}", crate::plan::wall_clock());
    let aside = folder.with_file_name(name);
    fs::rename(folder, &aside).map_err(LogError::io("put the damaged store aside as", &aside))?;
    Ok(aside)
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("unknown").lines().next().unwrap_or_default().to_owned()
}
