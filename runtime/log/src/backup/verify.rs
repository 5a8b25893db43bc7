//! Checks a backup: every file by its hash, and the log as a whole.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::manifest::{Entry, Manifest, hash};
use super::{BackupError, End, LeftOut, Progress};
use crate::Verified;

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// When it was begun, in milliseconds since 1970.
    pub created: i64,
    /// Where it ends.
    pub end: End,
    /// How many files it holds.
    pub files: u64,
    /// How many bytes they have.
    pub bytes: u64,
    /// What is not in it, and why.
    pub left_out: Vec<LeftOut>,
    /// The log in it.
    pub log: Verified,
    /// What is wrong, by file; empty when nothing is.
    pub problems: Vec<String>,
}

/// Whether a folder looks like a backup, finished or not.
#[must_use]
pub fn is_backup(folder: &Path) -> bool {
    folder.join("manifest.json").exists()
}

/// Checks a backup. It reads every byte.
///
/// # Errors
/// When it is incomplete, or its files cannot be read.
pub fn verify_backup(folder: &Path, progress: &Progress) -> Result<Checked, BackupError> {
    let manifest = complete(folder)?;
    let mut problems = damaged_files(folder, &manifest, progress)?;
    let mut log = Verified::default();
    if problems.is_empty() {
        let view = View::of(folder, &manifest.files)?;
        log = crate::verify(&view.0.join("log"))?;
        problems.extend(log.problems.iter().cloned());
    }
    Ok(Checked {
        created: manifest.created,
        end: manifest.end,
        files: manifest.files.len() as u64,
        bytes: manifest.files.iter().map(|entry| entry.bytes).sum(),
        left_out: manifest.left_out,
        log,
        problems,
    })
}

/// The manifest of a finished backup.
pub(super) fn complete(folder: &Path) -> Result<Manifest, BackupError> {
    Manifest::read(folder)?.ok_or_else(|| BackupError::Incomplete { path: folder.to_owned() })
}

/// What is wrong with the files of a backup.
pub(super) fn damaged_files(
    folder: &Path,
    manifest: &Manifest,
    progress: &Progress,
) -> Result<Vec<String>, BackupError> {
    manifest.files.iter().for_each(|entry| progress.expect(entry.bytes));
    let mut problems = Vec::new();
    for entry in &manifest.files {
        let path = folder.join(entry.stored());
        match hash(&path, progress) {
            Ok(found) if found.sha256 == entry.sha256 => {}
            Ok(_) => problems.push(format!("{} is not what was backed up", path.display())),
            Err(BackupError::Cancelled) => return Err(BackupError::Cancelled),
            Err(error) => problems.push(error.to_string()),
        }
    }
    Ok(problems)
}

/// A folder in which every file of a backup has its own name.
struct View(PathBuf);

impl View {
    fn of(folder: &Path, files: &[Entry]) -> Result<Self, BackupError> {
        let folder = folder.canonicalize().map_err(BackupError::io("find", folder))?;
        let place = std::env::temp_dir().join(format!("tidewire-verify-{}", ulid::Ulid::new()));
        let view = Self(place);
        for entry in files {
            let path = view.0.join(&entry.name);
            let parent = path.parent().unwrap_or(&view.0);
            fs::create_dir_all(parent).map_err(BackupError::io("create", parent))?;
            symlink(folder.join(entry.stored()), &path).map_err(BackupError::io("link", &path))?;
        }
        Ok(view)
    }
}

impl Drop for View {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}
