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
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::RwLock;

use crate::LogError;
use crate::folders::sync_folder;

mod folders;
mod panics;
mod patience;

pub(crate) use folders::quarantine;
use panics::close;
pub(crate) use panics::panic_text;
use patience::patiently;

/// The longest value that a tree may hold.
pub(crate) const VALUE_MAX: usize = 7 * 1024;
/// The longest key that a tree may hold.
pub(crate) const KEY_MAX: usize = 256;
/// sled's cache for blocks and indexes …
const LOG_CACHE: u64 = 16 * 1024 * 1024;
/// … and for projections.
const PROJECTIONS_CACHE: u64 = 8 * 1024 * 1024;
/// How often a page is accessed that is read only once.
const ACCESSES: usize = 16;
/// A database that another part of this process is just letting go of is waited for.
const LOCK_PATIENCE: Duration = Duration::from_secs(5);

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
    folder: PathBuf,
    log: Place,
    /// How many bytes were put into the log's database since it was opened.
    written: AtomicU64,
    projections: Place,
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

/// Where a database is that can be exchanged while it is in use. Empty only when it could not be opened again.
struct Place(RwLock<Option<Arc<Database>>>);

impl Place {
    fn of(database: Database) -> Self {
        Self(RwLock::new(Some(Arc::new(database))))
    }

    fn with<T>(&self, work: impl FnOnce(&Database) -> Result<T, LogError>) -> Result<T, LogError> {
        work(self.0.read().as_deref().ok_or_else(is_gone)?)
    }
}

fn is_gone() -> LogError {
    LogError::Store("it could not be opened again".to_owned())
}

/// Keys and values in order. The database stays open meanwhile.
pub(crate) struct Range {
    items: Option<sled::Iter>,
    failure: Option<LogError>,
    _database: Option<Arc<Database>>,
}

impl Range {
    fn of(place: &Place, items: impl FnOnce(&sled::Tree) -> sled::Iter) -> Self {
        match &*place.0.read() {
            Some(database) => {
                Self { items: Some(items(&database.tree)), failure: None, _database: Some(Arc::clone(database)) }
            }
            None => Self { items: None, failure: Some(is_gone()), _database: None },
        }
    }

    fn step(
        &mut self,
        step: impl FnOnce(&mut sled::Iter) -> Option<sled::Result<(sled::IVec, sled::IVec)>>,
    ) -> Option<Result<(Slice, Slice), LogError>> {
        match &mut self.items {
            Some(items) => step(items).map(|item| item.map(|(key, value)| (Slice(key), Slice(value))).map_err(failed)),
            None => self.failure.take().map(Err),
        }
    }
}

impl Iterator for Range {
    type Item = Result<(Slice, Slice), LogError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.step(Iterator::next)
    }
}

impl DoubleEndedIterator for Range {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.step(DoubleEndedIterator::next_back)
    }
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
    bytes: usize,
    too_large: bool,
}

impl Batch {
    pub(crate) fn put(&mut self, key: &[u8], value: &[u8]) {
        self.too_large |= key.len() > KEY_MAX || value.len() > VALUE_MAX;
        self.len += 1;
        self.bytes += key.len() + value.len();
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
    /// Opens or creates a database in a folder. Waits for one that is just being closed.
    fn open(folder: &Path, number: u64, tree: &str, cache: u64) -> Result<Self, String> {
        let began = Instant::now();
        loop {
            match Self::try_open(folder, number, tree, cache) {
                Err(reason) if is_held(&reason) && began.elapsed() < LOCK_PATIENCE => {
                    std::thread::sleep(Duration::from_millis(20));
                }
                opened => return opened,
            }
        }
    }

    fn try_open(folder: &Path, number: u64, tree: &str, cache: u64) -> Result<Self, String> {
        folders::remove_unfinished_snapshots(folder).map_err(|error| error.to_string())?;
        // sled notes where everything is when it opens; what it refers to has to be on the disk before that note.
        if let Ok(file) = File::open(folder.join("db")) {
            file.sync_data().map_err(|error| format!("sync failed: {error}"))?;
        }
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
        let db = self.db.clone();
        patiently(move || {
            let flushed = db.flush().map_err(failed);
            // Before it is told: whoever closes the database then must be the last to hold it.
            drop(db);
            flushed.map(drop)
        })?;
        self.file.sync_data().map_err(|error| LogError::Store(format!("sync failed: {error}")))
    }

    fn get(&self, key: &[u8]) -> Result<Option<Slice>, LogError> {
        self.tree.get(key).map(|value| value.map(Slice)).map_err(failed)
    }

    fn apply(&self, batch: Batch) -> Result<(), LogError> {
        self.tree.apply_batch(batch.batch).map_err(failed)
    }
}

/// Whether a database did not open because another part of this process is just letting go of it.
fn is_held(reason: &str) -> bool {
    reason.contains("could not acquire lock")
}

/// Opens the projections. They can be made anew, so a damaged database is put aside alone.
fn open_projections(folder: &Path) -> Result<(Database, Option<String>), String> {
    fs::create_dir_all(folder).map_err(|error| format!("the folder {}: {error}", folder.display()))?;
    let number = folders::current_number(folder);
    folders::remove_other_numbers(folder, number).map_err(|error| error.to_string())?;
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

impl Store {
    /// Opens or creates the store in a folder; projections lie beside it.
    ///
    /// # Errors
    /// A text that says why it does not open.
    pub(crate) fn open(folder: &Path) -> Result<Self, String> {
        let log = Database::open(folder, 1, "log", LOG_CACHE)?;
        let projections_folder = folder.with_file_name("projections");
        let (projections, notice) = open_projections(&projections_folder)?;
        let (folder, written) = (folder.to_owned(), AtomicU64::new(0));
        Ok(Self {
            folder,
            log: Place::of(log),
            written,
            projections: Place::of(projections),
            projections_folder,
            notice,
        })
    }

    const fn place(&self, space: Space) -> &Place {
        match space {
            Space::Log => &self.log,
            Space::Projections => &self.projections,
        }
    }

    /// Opens the log's database anew after so many bytes have gone into it, unless somebody is going through it.
    ///
    /// sled notes where everything is only when it opens, and reads all that came after the last note when it opens
    /// the next time. This keeps that little. Whoever reads meanwhile waits.
    pub(crate) fn refresh(&self, after: u64) -> Result<(), LogError> {
        if self.written.load(Ordering::Relaxed) < after {
            return Ok(());
        }
        let mut place = self.log.0.write();
        let database = match place.take().map(Arc::try_unwrap) {
            Some(Ok(database)) => database,
            Some(Err(in_use)) => {
                *place = Some(in_use);
                return Ok(());
            }
            None => return Err(is_gone()),
        };
        database.flush()?;
        close(database);
        *place = Some(Arc::new(Database::open(&self.folder, 1, "log", LOG_CACHE).map_err(LogError::Store)?));
        self.written.store(0, Ordering::Relaxed);
        Ok(())
    }

    /// Moves the projections whose keys are to be kept to a new folder and removes the old one: what was removed or
    /// replaced in them before is not on the disk any more.
    pub(crate) fn renew_projections(&self, keep: impl Fn(&[u8]) -> bool) -> Result<(), LogError> {
        let mut place = self.projections.0.write();
        let current = place.as_ref().ok_or_else(is_gone)?;
        let folder = &self.projections_folder;
        let number = current.number + 1;
        let (old, new) = (folder.join(current.number.to_string()), folder.join(number.to_string()));
        if new.exists() {
            fs::remove_dir_all(&new).map_err(LogError::io("remove", &new))?;
        }
        let fresh = Database::open(&new, number, "projections", PROJECTIONS_CACHE).map_err(LogError::Store)?;
        let mut batch = Batch::default();
        for item in &current.tree {
            let (key, value) = item.map_err(failed)?;
            if keep(&key) {
                batch.put(&key, &value);
            }
            if batch.len() >= 256 {
                fresh.apply(std::mem::take(&mut batch))?;
            }
        }
        fresh.apply(batch)?;
        fresh.flush()?;
        sync_folder(&new)?;
        sync_folder(folder)?;
        folders::set_current_number(folder, number)?;
        *place = Some(Arc::new(fresh));
        fs::remove_dir_all(&old).map_err(LogError::io("remove", &old))?;
        folders::remove_quarantined(folder).map_err(LogError::io("clear", folder))?;
        sync_folder(folder)
    }

    pub(crate) fn get(&self, space: Space, key: &[u8]) -> Result<Option<Slice>, LogError> {
        self.place(space).with(|database| database.get(key))
    }

    /// Says that a key was read whose neighbours will hardly be read as well.
    ///
    /// sled looks at how full a part of its cache is only after 64 accesses to that part, so that pages that are read
    /// here and there pile up, far beyond what the cache may take. More accesses make it look sooner.
    pub(crate) fn read_once(&self, space: Space, key: &[u8]) -> Result<(), LogError> {
        (0..ACCESSES).try_for_each(|_| self.get(space, key).map(drop))
    }

    /// Keys and values within bounds, ascending; `rev` gives them descending.
    pub(crate) fn range(&self, space: Space, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Range {
        let owned = |bound: Bound<&[u8]>| bound.map(sled::IVec::from);
        Range::of(self.place(space), |tree| tree.range::<sled::IVec, _>((owned(from), owned(to))))
    }

    /// Everything whose key begins with a prefix, ascending.
    pub(crate) fn prefix(&self, space: Space, prefix: &[u8]) -> Range {
        Range::of(self.place(space), |tree| tree.scan_prefix(prefix))
    }

    /// Applies changes in one step: after a crash all of them are there or none.
    pub(crate) fn apply(&self, space: Space, batch: Batch) -> Result<(), LogError> {
        if batch.too_large {
            return Err(LogError::Store("a key or value exceeds what the store can keep safely".to_owned()));
        }
        if space == Space::Log {
            self.written.fetch_add(batch.bytes as u64, Ordering::Relaxed);
        }
        self.place(space).with(|database| database.apply(batch))
    }

    /// Brings everything to the disk.
    pub(crate) fn flush(&self) -> Result<(), LogError> {
        self.log.with(Database::flush)?;
        self.projections.with(Database::flush)
    }

    /// Lets go of the store.
    pub(crate) fn close(self) {
        close(self);
    }

    /// Bytes that the store takes on disk.
    pub(crate) fn size_on_disk(&self) -> u64 {
        let size = |place: &Place| place.with(|database| Ok(database.db.size_on_disk().unwrap_or_default()));
        size(&self.log).unwrap_or_default() + size(&self.projections).unwrap_or_default()
    }
}

#[cfg(test)]
#[path = "store/tests.rs"]
mod tests;
