//! Snapshots of read models that stand for events which retention drops: files beside the journal, because the store
//! may be thrown away at any time and these cannot be made again.
//!
//! ```text
//!   read model ──► file, synced ──► state of the log: which file, of what, with which hash ──► events may go
//! ```
//! The log's state says which files there are, so one that is missing or damaged is noticed, and a log that is restored to
//! an earlier point knows the ones of then. What the entries mean is not known here.

mod file;
mod register;

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use compact_str::CompactString;
use parking_lot::{Mutex, MutexGuard};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tidewire_model::event::StreamName;
use tidewire_model::position::Position;

use crate::folders::sync_folder;
use crate::hex::to_hex;
use crate::keys::{DataKey, Found};
use crate::plan::wall_clock;
use crate::{Bodies, LogError};

pub use file::SnapshotWriter;
pub use register::{erase, keep, keep_alone, list};

/// Before the name of each file in the log's state; the value is its [`SnapshotInfo`].
pub(crate) const REGISTER: &str = "snapshot/";
/// The folder of the files, in that of the log.
pub(crate) const FOLDER: &str = "snapshots";
const ENDING: &str = "snapshot";

/// What is known of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotInfo {
    /// Of which read model.
    pub name: String,
    /// A hash of what it was made from; another definition cannot use it.
    pub definition: String,
    /// Every event up to here has taken effect in it.
    pub position: Position,
    /// The name of its file.
    pub file: String,
    /// How many bytes that has.
    pub bytes: u64,
    /// The hash of these.
    pub sha256: String,
    /// When it was made, in milliseconds since 1970.
    pub made: i64,
    /// The key that it is encrypted with, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<CompactString>,
}

impl SnapshotInfo {
    /// Whether it was made from a definition.
    #[must_use]
    pub fn is_of(&self, definition: &str) -> bool {
        self.definition == fingerprint(definition)
    }
}

fn fingerprint(definition: &str) -> String {
    to_hex(&Sha256::digest(definition))
}

/// The files of a log, or what stands for them in memory.
pub struct Snapshots {
    place: Place,
    bodies: Arc<Bodies>,
    /// Files that are not in the log's state yet.
    writing: Arc<Mutex<HashSet<String>>>,
    /// Held while files have to stay.
    removing: Mutex<()>,
    /// What was wrong with files when they were needed, by name.
    problems: Mutex<BTreeMap<String, String>>,
}

enum Place {
    Folder(PathBuf),
    Memory(Mutex<BTreeMap<String, Bytes>>),
}

impl Snapshots {
    /// Those of a log in a folder. Makes nothing before it is needed.
    pub(crate) fn in_folder(log: &Path, bodies: Arc<Bodies>) -> Self {
        Self::new(Place::Folder(log.join(FOLDER)), bodies)
    }

    pub(crate) fn in_memory(bodies: Arc<Bodies>) -> Self {
        Self::new(Place::Memory(Mutex::default()), bodies)
    }

    fn new(place: Place, bodies: Arc<Bodies>) -> Self {
        Self { place, bodies, writing: Arc::default(), removing: Mutex::default(), problems: Mutex::default() }
    }

    /// Begins the snapshot of a read model. It counts once it is [kept](keep). Blocks on the disk.
    ///
    /// # Errors
    /// When there is no room, or no key.
    pub fn begin(&self, name: &str, definition: &str, position: Position) -> Result<SnapshotWriter, LogError> {
        let mark = to_hex(Sha256::digest(name).get(..8).unwrap_or_default());
        let file = format!("{:020}-{mark}-{}.{ENDING}", position.get(), ulid::Ulid::new());
        let unfinished = Unfinished::new(&self.writing, &file);
        let key = self.key(name, &file)?;
        let info = SnapshotInfo {
            name: name.to_owned(),
            definition: fingerprint(definition),
            position,
            file: file.clone(),
            bytes: 0,
            sha256: String::new(),
            made: wall_clock(),
            key_id: key.as_ref().map(|key| key.id.clone()),
        };
        let path = match &self.place {
            Place::Folder(folder) => {
                fs::create_dir_all(folder).map_err(LogError::io("create the folder", folder))?;
                // One that is there may be of a process that was killed before this.
                sync_folder(folder.parent().unwrap_or(folder))?;
                Some(folder.join(&file))
            }
            Place::Memory(_) => None,
        };
        SnapshotWriter::create(info, path, key, unfinished)
    }

    /// Personal data must not outlive its erasure in a copy of the file.
    fn key(&self, name: &str, file: &str) -> Result<Option<Arc<DataKey>>, LogError> {
        if self.bodies.personal().is_empty() && !self.bodies.keys.are_used() {
            return Ok(None);
        }
        let failed = |reason| LogError::Snapshot { name: name.to_owned(), reason };
        self.bodies.keys.current(&stream_of(file)?, wall_clock()).map(Some).map_err(failed)
    }

    /// Hands over every entry of a snapshot, in the order in which they were put. Its hash is checked before.
    ///
    /// # Errors
    /// When the file is missing, damaged, or its key is, or what `each` says.
    pub fn read(
        &self,
        info: &SnapshotInfo,
        each: &mut dyn FnMut(&str, Bytes) -> Result<(), LogError>,
    ) -> Result<(), LogError> {
        self.check(info)?;
        let failed = |reason: String| LogError::Snapshot { name: info.name.clone(), reason };
        let key = match &info.key_id {
            None => None,
            Some(id) => match self.bodies.keys.find(&stream_of(&info.file)?, id) {
                Found::Key(key) => Some(key),
                Found::Erased => return Err(failed("it was erased".to_owned())),
                Found::Missing(reason) => return Err(failed(reason)),
            },
        };
        let mut open = self.open(info)?;
        file::read(&mut open, info, key.as_deref(), each)
    }

    /// Whether the file is there and what was written.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self, info: &SnapshotInfo) -> Result<(), LogError> {
        let checked = self.open(info).and_then(|mut open| file::check(&mut open, info));
        let mut problems = self.problems.lock();
        match &checked {
            Ok(()) => drop(problems.remove(&info.file)),
            Err(error) => drop(problems.insert(info.file.clone(), error.full_text())),
        }
        checked
    }

    /// What was wrong with files when they were needed, as long as they count.
    pub(crate) fn problems(&self) -> Vec<String> {
        self.problems.lock().values().cloned().collect()
    }

    fn open(&self, info: &SnapshotInfo) -> Result<Box<dyn io::Read>, LogError> {
        let found: io::Result<Box<dyn io::Read>> = match &self.place {
            Place::Folder(folder) => {
                File::open(folder.join(&info.file)).map(|file| Box::new(file) as Box<dyn io::Read>)
            }
            Place::Memory(files) => files
                .lock()
                .get(&info.file)
                .map(|bytes| Box::new(io::Cursor::new(bytes.clone())) as Box<dyn io::Read>)
                .ok_or_else(|| io::ErrorKind::NotFound.into()),
        };
        found.map_err(|error| {
            let what = if error.kind() == io::ErrorKind::NotFound { "is missing" } else { "cannot be read" };
            LogError::Snapshot { name: info.name.clone(), reason: format!("its file {} {what}: {error}", info.file) }
        })
    }

    /// Removes every file that the log's state does not name.
    fn sweep(&self, known: &HashSet<&str>, _alone: &MutexGuard<'_, ()>) -> Result<(), LogError> {
        self.problems.lock().retain(|file, _| known.contains(file.as_str()));
        let writing = self.writing.lock();
        let goes = |file: &str| !known.contains(file) && !writing.contains(file.strip_suffix(".tmp").unwrap_or(file));
        match &self.place {
            Place::Memory(files) => files.lock().retain(|file, _| !goes(file)),
            Place::Folder(folder) => {
                let gone: Vec<PathBuf> = files_in(folder)?.into_iter().filter(|path| goes(name_of(path))).collect();
                for path in &gone {
                    fs::remove_file(path).map_err(LogError::io("remove the snapshot", path))?;
                }
                if !gone.is_empty() {
                    sync_folder(folder)?;
                }
            }
        }
        Ok(())
    }

    /// Keeps files from being removed.
    pub(crate) fn stay(&self) -> MutexGuard<'_, ()> {
        self.removing.lock()
    }

    /// Takes a file over that has just been written.
    fn written(&self, finished: file::Finished) -> (SnapshotInfo, Unfinished) {
        if let (Place::Memory(files), Some(bytes)) = (&self.place, finished.bytes) {
            files.lock().insert(finished.info.file.clone(), bytes);
        }
        (finished.info, finished.unfinished)
    }
}

/// The name of a file that is being written, or is not in the log's state yet: it stays.
struct Unfinished {
    all: Arc<Mutex<HashSet<String>>>,
    file: String,
}

impl Unfinished {
    fn new(all: &Arc<Mutex<HashSet<String>>>, file: &str) -> Self {
        all.lock().insert(file.to_owned());
        Self { all: Arc::clone(all), file: file.to_owned() }
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        self.all.lock().remove(&self.file);
    }
}

/// The stream whose key belongs to a file. Nothing is ever appended to it.
fn stream_of(file: &str) -> Result<StreamName, LogError> {
    StreamName::reserved(format!("$snapshot-{file}")).map_err(|error| LogError::Name(error.to_string()))
}

fn name_of(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

/// The files in a folder of snapshots, finished and unfinished.
fn files_in(folder: &Path) -> Result<Vec<PathBuf>, LogError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(LogError::io("list the snapshots", folder))?,
    };
    let paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>();
    let mut paths = paths.map_err(LogError::io("list the snapshots", folder))?;
    let ours = |path: &PathBuf| path.extension().is_some_and(|ending| ending == ENDING || ending == "tmp");
    paths.retain(ours);
    paths.sort();
    Ok(paths)
}

/// The finished files in the folder of a log, by name.
pub(crate) fn finished_files(log: &Path) -> Result<Vec<PathBuf>, LogError> {
    let mut files = files_in(&log.join(FOLDER))?;
    files.retain(|path| path.extension().is_some_and(|ending| ending == ENDING));
    Ok(files)
}

/// Checks what the log's state says of its snapshots; answers what is wrong. For a log that nobody uses.
pub(crate) fn problems<'a>(log: &Path, state: impl Iterator<Item = &'a Bytes>) -> Vec<String> {
    let infos = state.filter_map(|value| serde_json::from_slice::<SnapshotInfo>(value).ok());
    let check = |info: SnapshotInfo| {
        let path = log.join(FOLDER).join(&info.file);
        let opened = File::open(&path).map_err(LogError::io("open", &path));
        let checked = opened.and_then(|mut open| file::check(&mut open, &info));
        checked.err().map(|error| {
            let (name, position) = (&info.name, info.position);
            format!("the snapshot of the read model '{name}' at position {position}: {}", error.full_text())
        })
    };
    infos.filter_map(check).collect()
}

#[cfg(test)]
mod tests;
