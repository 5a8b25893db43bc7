//! The list of what a backup holds, and the files it names.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{BackupError, End, LeftOut, Progress};
use crate::folders::{make_lasting_dir, sync_folder};
use crate::hex::to_hex;

const FORMAT: &str = "tidewire-backup-1";
const NAME: &str = "manifest.json";
const PIECE: usize = 256 * 1024;

/// What a backup says about itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Manifest {
    format: String,
    /// Which log it is of.
    pub(super) log_id: String,
    /// When it was begun, in milliseconds since 1970.
    pub(super) created: i64,
    #[serde(flatten)]
    pub(super) end: End,
    pub(super) files: Vec<Entry>,
    /// What is not in it, and why.
    #[serde(default)]
    pub(super) left_out: Vec<LeftOut>,
}

/// One file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Entry {
    /// Where it lies in the data folder.
    pub(super) name: String,
    /// Where it lies in the backup, when that is another place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stored: Option<String>,
    pub(super) bytes: u64,
    pub(super) sha256: String,
    /// What tells whether the original has changed since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) mark: Option<String>,
}

impl Entry {
    /// Where it lies in the backup, from there.
    pub(super) fn stored(&self) -> &str {
        self.stored.as_deref().unwrap_or(&self.name)
    }

    /// An entry for a file that was copied to a place.
    pub(super) fn new(name: &str, stored: &str, copied: Copied, mark: Option<String>) -> Self {
        let stored = (stored != name).then(|| stored.to_owned());
        Self { name: name.to_owned(), stored, bytes: copied.bytes, sha256: copied.sha256, mark }
    }
}

impl Manifest {
    pub(super) fn new(log_id: String, created: i64, end: End, files: Vec<Entry>) -> Self {
        Self { format: FORMAT.to_owned(), log_id, created, end, files, left_out: Vec::new() }
    }

    /// The manifest of a backup, if there is one.
    pub(super) fn read(folder: &Path) -> Result<Option<Self>, BackupError> {
        let path = folder.join(NAME);
        let text = match fs::read(&path) {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
            other => other.map_err(BackupError::io("read", &path))?,
        };
        let damaged = |reason: String| BackupError::Damaged(format!("{}: {reason}", path.display()));
        let (body, sum) = text.trim_ascii_end().rsplit_once_newline().ok_or_else(|| damaged("cut short".into()))?;
        if sum != to_hex(&Sha256::digest(body)).as_bytes() {
            return Err(damaged("its checksum does not match".to_owned()));
        }
        let manifest: Self = serde_json::from_slice(body).map_err(|error| damaged(error.to_string()))?;
        if manifest.format != FORMAT {
            return Err(damaged(format!("it is a '{}', not a '{FORMAT}'", manifest.format)));
        }
        let plain =
            |name: &str| Path::new(name).components().all(|part| matches!(part, std::path::Component::Normal(_)));
        match manifest.files.iter().find(|entry| !plain(&entry.name) || !plain(entry.stored())) {
            Some(entry) => Err(damaged(format!("'{}' leads out of it", entry.name))),
            None => Ok(Some(manifest)),
        }
    }

    /// Puts the manifest in place of an earlier one; from then on the backup is complete. Its last line is the hash of
    /// all before it.
    pub(super) fn write(&self, folder: &Path) -> Result<(), BackupError> {
        let (path, temporary) = (folder.join(NAME), folder.join("manifest.tmp"));
        let body = serde_json::to_vec_pretty(self).map_err(io::Error::from).map_err(BackupError::io("write", &path))?;
        let sum = to_hex(&Sha256::digest(&body));
        let written = File::create(&temporary).and_then(|mut file| {
            file.write_all(&body)?;
            file.write_all(format!("\n{sum}\n").as_bytes())?;
            file.sync_all()?;
            fs::rename(&temporary, &path)
        });
        written.map_err(BackupError::io("write", &path))?;
        Ok(sync_folder(folder)?)
    }

    /// Removes files of earlier backups, and of such as were not finished.
    pub(super) fn tidy(&self, folder: &Path) -> Result<(), BackupError> {
        let mut wanted: HashSet<PathBuf> = self.files.iter().map(|entry| folder.join(entry.stored())).collect();
        wanted.insert(folder.join(NAME));
        tidy(folder, &wanted)
    }
}

trait SplitLine {
    fn rsplit_once_newline(&self) -> Option<(&[u8], &[u8])>;
}

impl SplitLine for [u8] {
    fn rsplit_once_newline(&self) -> Option<(&[u8], &[u8])> {
        let at = self.iter().rposition(|byte| *byte == b'\n')?;
        Some((self.get(..at)?, self.get(at + 1..)?))
    }
}

fn tidy(folder: &Path, wanted: &HashSet<PathBuf>) -> Result<(), BackupError> {
    for path in list(folder)? {
        if path.is_dir() {
            tidy(&path, wanted)?;
            // One that still holds something stays.
            drop(fs::remove_dir(&path));
        } else if !wanted.contains(&path) {
            fs::remove_file(&path).map_err(BackupError::io("remove", &path))?;
        }
    }
    Ok(())
}

/// What lies in a folder; nothing when there is none.
pub(super) fn list(folder: &Path) -> Result<Vec<PathBuf>, BackupError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(BackupError::io("list", folder))?,
    };
    let mut paths = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<io::Result<Vec<_>>>()
        .map_err(BackupError::io("list", folder))?;
    paths.sort();
    Ok(paths)
}

/// What was copied.
pub(super) struct Copied {
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

/// Copies what a reader gives into a file that is whole and on disk afterwards.
pub(super) fn copy(from: (&Path, &mut dyn Read), to: &Path, progress: &Progress) -> Result<Copied, BackupError> {
    let folder = to.parent().unwrap_or(to);
    fs::create_dir_all(folder).map_err(BackupError::io("create", folder))?;
    let mut temporary = to.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = PathBuf::from(temporary);
    let mut file = File::create(&temporary).map_err(BackupError::io("create", &temporary))?;
    let copied = pump(from, (&temporary, &mut file), progress);
    let finished = copied.and_then(|copied| {
        let synced = file.sync_all().and_then(|()| fs::rename(&temporary, to));
        synced.map(|()| copied).map_err(BackupError::io("write", to))
    });
    if finished.is_err() {
        drop(fs::remove_file(&temporary));
    }
    finished
}

/// The hash of a file.
pub(super) fn hash(path: &Path, progress: &Progress) -> Result<Copied, BackupError> {
    let mut file = File::open(path).map_err(BackupError::io("read", path))?;
    pump((path, &mut file), (path, &mut io::sink()), progress)
}

fn pump(
    (from, reader): (&Path, &mut dyn Read),
    (to, writer): (&Path, &mut dyn Write),
    progress: &Progress,
) -> Result<Copied, BackupError> {
    let (mut hasher, mut bytes) = (Sha256::new(), 0);
    let mut piece = vec![0; PIECE];
    loop {
        let read = match reader.read(&mut piece) {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            other => other.map_err(BackupError::io("read", from))?,
        };
        let Some(piece) = piece.get(..read).filter(|piece| !piece.is_empty()) else { break };
        hasher.update(piece);
        writer.write_all(piece).map_err(BackupError::io("write", to))?;
        bytes += read as u64;
        progress.advance(read as u64)?;
    }
    Ok(Copied { bytes, sha256: to_hex(&hasher.finalize()) })
}

/// Makes a folder, if need be with those above it, that is still there after a power cut.
pub(super) fn make_folder(folder: &Path) -> Result<(), BackupError> {
    make_lasting_dir(folder, |folder| fs::create_dir_all(folder)).map_err(BackupError::io("create", folder))
}

/// Makes folders durable, from the inmost out.
pub(super) fn sync_folders(root: &Path) -> Result<(), BackupError> {
    for path in list(root)?.iter().filter(|path| path.is_dir()) {
        sync_folders(path)?;
    }
    Ok(sync_folder(root)?)
}
