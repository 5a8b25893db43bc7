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

use parking_lot::RwLock;

use crate::LogError;
use crate::journal::segment::sync_folder;

/// The longest value that a tree may hold.
pub(crate) const VALUE_MAX: usize = 7 * 1024;
/// The longest key that a tree may hold.
pub(crate) const KEY_MAX: usize = 256;
/// sled's cache for blocks and indexes …
const LOG_CACHE: u64 = 16 * 1024 * 1024;
/// … and for projections.
const PROJECTIONS_CACHE: u64 = 8 * 1024 * 1024;
/// How the name of what was put aside begins.
const QUARANTINE: &str = "quarantine-";
/// How often a page is accessed that is read only once.
const ACCESSES: usize = 16;

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
    log: Database,
    projections: RwLock<Database>,
    /// Projections have a folder in here, with a number that grows each time it is renewed.
    projections_folder: PathBuf,
    /// What had to be mended to open it.
    pub(crate) notice: Option<String>,
}

struct Database {
    db: sled::Db,
    tree: sled::Tree,
    file: File,
    number: u64,
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

impl Database {
    /// Opens or creates a database in a folder.
    fn open(folder: &Path, number: u64, tree: &str, cache: u64) -> Result<Self, String> {
        remove_unfinished_snapshots(folder).map_err(|error| error.to_string())?;
        let open = || {
            let config = sled::Config::new().path(folder).cache_capacity(cache).flush_every_ms(None);
            let db = config.open()?;
            let tree = db.open_tree(tree)?;
            Ok::<_, sled::Error>((db, tree))
        };
        match catch_unwind(AssertUnwindSafe(open)) {
            Ok(Ok((db, tree))) => {
                let file = File::open(folder.join("db")).map_err(|error| error.to_string())?;
                Ok(Self { db, tree, file, number })
            }
            Ok(Err(error)) => Err(error.to_string()),
            Err(panic) => Err(format!("it is damaged: {}", panic_text(&*panic))),
        }
    }

    /// Brings everything to the disk: sled's own `flush` leaves it in the drive's cache.
    fn flush(&self) -> Result<(), LogError> {
        self.db.flush().map_err(failed)?;
        self.file.sync_data().map_err(|error| LogError::Store(format!("sync failed: {error}")))
    }
}

/// Whether a database did not open because another one of this process is just letting go of it.
pub(crate) fn is_held(reason: &str) -> bool {
    reason.contains("could not acquire lock")
}

/// The number of the folder of projections that counts.
fn current_number(folder: &Path) -> u64 {
    let text = fs::read_to_string(folder.join("current")).unwrap_or_default();
    text.trim().parse().unwrap_or(1)
}

/// Opens the projections. They can be made anew, so a damaged database is put aside alone.
fn open_projections(folder: &Path) -> Result<(Database, Option<String>), String> {
    fs::create_dir_all(folder).map_err(|error| format!("the folder {}: {error}", folder.display()))?;
    let number = current_number(folder);
    remove_other_numbers(folder, number).map_err(|error| error.to_string())?;
    let path = folder.join(number.to_string());
    match Database::open(&path, number, "projections", PROJECTIONS_CACHE) {
        Ok(database) => Ok((database, None)),
        Err(reason) if is_held(&reason) => Err(reason),
        Err(reason) => {
            let aside = quarantine(&path).map_err(|error| error.full_text())?;
            tracing::warn!(reason, aside = %aside.display(), "projections put aside, they are built anew");
            let notice = format!(
                "projections did not open ({reason}); they were put aside as {} and are built anew",
                aside.display()
            );
            Database::open(&path, number, "projections", PROJECTIONS_CACHE).map(|database| (database, Some(notice)))
        }
    }
}

/// Removes projections that were put aside: they hold what others must not hold any more.
fn remove_quarantined(folder: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(QUARANTINE) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

/// Removes what an interrupted renewal left behind.
fn remove_other_numbers(folder: &Path, number: u64) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let other = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse::<u64>().ok());
        if other.is_some_and(|other| other != number) {
            fs::remove_dir_all(&path)?;
        }
    }
    Ok(())
}

impl Store {
    /// Opens or creates the store in a folder; projections lie beside it.
    ///
    /// # Errors
    /// A text that says why it does not open.
    pub(crate) fn open(folder: &Path) -> Result<Self, String> {
        let log = Database::open(folder, 1, "log", LOG_CACHE)?;
        let projections_folder = folder.with_file_name("projections");
        let (projections, notice) = open_projections(&projections_folder)?;
        Ok(Self { log, projections: RwLock::new(projections), projections_folder, notice })
    }

    fn with<T>(&self, space: Space, work: impl FnOnce(&sled::Tree) -> T) -> T {
        match space {
            Space::Log => work(&self.log.tree),
            Space::Projections => work(&self.projections.read().tree),
        }
    }

    /// Moves the projections whose keys are to be kept to a new folder and removes the old one: what was removed or
    /// replaced in them before is not on the disk any more.
    pub(crate) fn renew_projections(&self, keep: impl Fn(&[u8]) -> bool) -> Result<(), LogError> {
        let mut current = self.projections.write();
        let folder = &self.projections_folder;
        let (old, new) = (folder.join(current.number.to_string()), folder.join((current.number + 1).to_string()));
        let io = |operation| LogError::io(operation, new.clone());
        if new.exists() {
            fs::remove_dir_all(&new).map_err(io("remove"))?;
        }
        let fresh =
            Database::open(&new, current.number + 1, "projections", PROJECTIONS_CACHE).map_err(LogError::Store)?;
        let mut batch = Batch::default();
        for item in &current.tree {
            let (key, value) = item.map_err(failed)?;
            if keep(&key) {
                batch.put(&key, &value);
            }
            if batch.len() >= 256 {
                fresh.tree.apply_batch(std::mem::take(&mut batch).batch).map_err(failed)?;
            }
        }
        fresh.tree.apply_batch(batch.batch).map_err(failed)?;
        fresh.flush()?;
        sync_folder(&new)?;
        sync_folder(folder)?;
        let (mark, written) = (folder.join("current"), folder.join("current.new"));
        let write = || -> std::io::Result<()> {
            fs::write(&written, fresh.number.to_string())?;
            File::open(&written)?.sync_all()?;
            fs::rename(&written, &mark)
        };
        write().map_err(LogError::io("write", &mark))?;
        sync_folder(folder)?;
        drop(std::mem::replace(&mut *current, fresh));
        fs::remove_dir_all(&old).map_err(LogError::io("remove", &old))?;
        remove_quarantined(folder).map_err(LogError::io("clear", folder))?;
        sync_folder(folder)
    }

    pub(crate) fn get(&self, space: Space, key: &[u8]) -> Result<Option<Slice>, LogError> {
        self.with(space, |tree| tree.get(key)).map(|value| value.map(Slice)).map_err(failed)
    }

    /// Says that a key was read whose neighbours will hardly be read as well.
    ///
    /// sled looks at how full a part of its cache is only after 64 accesses to that part, so that pages that are read
    /// here and there pile up, far beyond what the cache may take. More accesses make it look sooner.
    pub(crate) fn read_once(&self, space: Space, key: &[u8]) -> Result<(), LogError> {
        (0..ACCESSES).try_for_each(|_| self.get(space, key).map(drop))
    }

    /// Keys and values within bounds, ascending; `rev` gives them descending.
    pub(crate) fn range(
        &self,
        space: Space,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
    ) -> impl DoubleEndedIterator<Item = Result<(Slice, Slice), LogError>> + use<> {
        let owned = |bound: Bound<&[u8]>| bound.map(sled::IVec::from);
        let range = self.with(space, |tree| tree.range::<sled::IVec, _>((owned(from), owned(to))));
        range.map(|item| item.map(|(key, value)| (Slice(key), Slice(value))).map_err(failed))
    }

    /// Everything whose key begins with a prefix, ascending.
    pub(crate) fn prefix(
        &self,
        space: Space,
        prefix: &[u8],
    ) -> impl DoubleEndedIterator<Item = Result<(Slice, Slice), LogError>> + use<> {
        let range = self.with(space, |tree| tree.scan_prefix(prefix));
        range.map(|item| item.map(|(key, value)| (Slice(key), Slice(value))).map_err(failed))
    }

    /// Applies changes in one step: after a crash all of them are there or none.
    pub(crate) fn apply(&self, space: Space, batch: Batch) -> Result<(), LogError> {
        if batch.too_large {
            return Err(LogError::Store("a key or value exceeds what the store can keep safely".to_owned()));
        }
        self.with(space, |tree| tree.apply_batch(batch.batch)).map_err(failed)
    }

    /// Brings everything to the disk.
    pub(crate) fn flush(&self) -> Result<(), LogError> {
        self.log.flush()?;
        self.projections.read().flush()
    }

    /// Lets go of the store. sled panics when the disk fails it meanwhile.
    pub(crate) fn close(self) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(self))) {
            tracing::warn!(error = panic_text(&*panic), "indexed store failed while it was closed");
        }
    }

    /// Bytes that the store takes on disk.
    pub(crate) fn size_on_disk(&self) -> u64 {
        let size = |db: &sled::Db| db.size_on_disk().unwrap_or_default();
        size(&self.log.db) + size(&self.projections.read().db)
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
    let name = format!("{QUARANTINE}{}", crate::plan::wall_clock());
    let aside = folder.with_file_name(name);
    fs::rename(folder, &aside).map_err(LogError::io("put the damaged store aside as", &aside))?;
    Ok(aside)
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("unknown").lines().next().unwrap_or_default().to_owned()
}
