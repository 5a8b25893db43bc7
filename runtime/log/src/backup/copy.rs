//! Makes a backup.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::manifest::{Entry, Manifest, copy, list, make_folder, sync_folders};
use super::source::{self, Tail, Whole};
use super::{BackupError, End, Others, Progress};
use crate::lock::lock;

/// What goes into a backup.
pub(crate) struct Contents {
    /// The folder of the log.
    pub(crate) log: PathBuf,
    /// The last commit that belongs in it; `None`: everything, as nobody writes.
    pub(crate) commit: Option<u64>,
    /// What else goes into it.
    pub(crate) others: Others,
    /// When it begins, in milliseconds since 1970.
    pub(crate) now: i64,
}

/// What was backed up.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Where it ends.
    #[serde(flatten)]
    pub end: End,
    /// How many files it holds.
    pub files: u64,
    /// How many bytes they have.
    pub bytes: u64,
    /// How many files were copied; the others were there.
    pub copied_files: u64,
    /// How many bytes were copied.
    pub copied_bytes: u64,
    /// Files of the log that were damaged before, and are damaged in the backup as well.
    pub problems: Vec<String>,
}

/// Backs up a log that nobody uses, and other files with it.
///
/// # Errors
/// When the log is in use or damaged, or when files cannot be read or written.
pub fn back_up_folder(log: &Path, to: &Path, others: Others, progress: &Progress) -> Result<Report, BackupError> {
    let _lock = lock(log)?;
    let now = crate::plan::wall_clock();
    back_up(&Contents { log: log.to_owned(), commit: None, others, now }, to, progress)
}

/// Backs up. What is complete in the folder stays so until the new backup is.
pub(crate) fn back_up(contents: &Contents, to: &Path, progress: &Progress) -> Result<Report, BackupError> {
    let before = Manifest::read(to);
    let before = match before {
        // The folder was meant for backups all the same.
        Err(BackupError::Damaged(_)) => None,
        other => other?,
    };
    if before.is_none() && list(to)?.iter().any(|path| !is_left_over(path, &contents.others)) {
        return Err(BackupError::NotEmpty { path: to.to_owned() });
    }
    let existed = to.exists();
    make_folder(to)?;
    let made = copy_all(contents, to, before.as_ref(), progress);
    if made.is_err() {
        // What is left of an earlier backup is complete; of a first one nothing is left.
        match &before {
            Some(before) => drop(before.tidy(to)),
            None => {
                for root in contents.others.roots().chain(["log"]).map(|root| to.join(root)) {
                    drop(if root.is_dir() { fs::remove_dir_all(root) } else { fs::remove_file(root) });
                }
                if !existed {
                    drop(fs::remove_dir(to));
                }
            }
        }
    }
    made
}

/// What a backup that was not finished leaves, or a manifest that was damaged.
fn is_left_over(path: &Path, others: &Others) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    ["log", "manifest.json", "manifest.tmp"].into_iter().chain(others.roots()).any(|root| root == name)
}

fn copy_all(
    contents: &Contents,
    to: &Path,
    before: Option<&Manifest>,
    progress: &Progress,
) -> Result<Report, BackupError> {
    let source::Journal { log_id, closed: mut whole, tail, end } = source::journal(&contents.log, contents.commit)?;
    let log_id = format!("{log_id:032x}");
    if before.is_some_and(|before| before.log_id != log_id) {
        return Err(BackupError::OtherLog { path: to.to_owned() });
    }
    whole.extend(source::snapshots(&contents.log)?);
    for (name, path) in &contents.others.files {
        whole.extend(Whole::find(name.clone(), path.clone())?);
    }
    let mut making = Making::new(to, before, progress);
    whole.iter().for_each(|file| making.expect(file));
    let mut files = Vec::new();
    if let Some(tail) = tail {
        files.push(making.tail(tail, end.commit)?);
    }
    for file in &whole {
        files.push(making.file(file)?);
    }
    // After the journal: what that refers to is there by now.
    let content = source::content(&contents.log)?;
    content.iter().for_each(|file| making.expect(file));
    for file in &content {
        let entry = making.file(file)?;
        if !file.path.ends_with(&entry.sha256) {
            making.problems.push(format!("{} is damaged", file.path.display()));
        }
        files.push(entry);
    }
    sync_folders(to)?;
    let report = Report {
        end,
        files: files.len() as u64,
        bytes: files.iter().map(|entry| entry.bytes).sum(),
        copied_files: making.copied_files,
        copied_bytes: making.copied_bytes,
        problems: std::mem::take(&mut making.problems),
    };
    let mut manifest = Manifest::new(log_id, contents.now, end, files);
    manifest.left_out.clone_from(&contents.others.left_out);
    manifest.write(to)?;
    manifest.tidy(to)?;
    Ok(report)
}

/// A backup under way.
struct Making<'a> {
    to: &'a Path,
    known: HashMap<&'a str, &'a Entry>,
    progress: &'a Progress,
    copied_files: u64,
    copied_bytes: u64,
    problems: Vec<String>,
}

impl<'a> Making<'a> {
    fn new(to: &'a Path, before: Option<&'a Manifest>, progress: &'a Progress) -> Self {
        let entries = before.map_or(&[][..], |before| &before.files);
        let known = entries.iter().map(|entry| (entry.name.as_str(), entry)).collect();
        Self { to, known, progress, copied_files: 0, copied_bytes: 0, problems: Vec::new() }
    }

    /// The entry of the last backup, when the file has not changed since and is still there.
    fn there(&self, file: &Whole) -> Option<&'a Entry> {
        let entry = self.known.get(file.name.as_str()).copied()?;
        let size = fs::metadata(self.to.join(entry.stored())).ok()?.len();
        (entry.mark.as_ref() == Some(&file.mark) && size == entry.bytes).then_some(entry)
    }

    fn expect(&self, file: &Whole) {
        if self.there(file).is_none() {
            self.progress.expect(file.bytes);
        }
    }

    const fn count(&mut self, bytes: u64) {
        self.copied_files += 1;
        self.copied_bytes += bytes;
    }

    /// The end of the journal goes under a name of its own: that of the last backup is needed until this one is
    /// complete.
    fn tail(&mut self, mut tail: Tail, commit: u64) -> Result<Entry, BackupError> {
        self.progress.expect(tail.bytes);
        let stored = format!("{}.to-{commit}", tail.name);
        let copied = copy((&tail.path, &mut tail.file), &self.to.join(&stored), self.progress)?;
        self.count(copied.bytes);
        if copied.bytes == tail.bytes {
            Ok(Entry::new(&tail.name, &stored, copied, None))
        } else {
            Err(BackupError::Source(format!("{} was cut meanwhile", tail.path.display())))
        }
    }

    fn file(&mut self, file: &Whole) -> Result<Entry, BackupError> {
        if let Some(entry) = self.there(file) {
            return Ok(entry.clone());
        }
        // The copy of the last backup stays until this one is complete.
        let taken = self.known.get(file.name.as_str()).is_some_and(|entry| entry.stored() == file.name);
        let stored = if taken { format!("{}.{}", file.name, file.mark) } else { file.name.clone() };
        let to = self.to.join(&stored);
        let mut open = File::open(&file.path).map_err(BackupError::io("read", &file.path))?;
        let copied = copy((&file.path, &mut open), &to, self.progress)?;
        let keeps = open.metadata().and_then(|data| fs::set_permissions(&to, data.permissions()));
        keeps.map_err(BackupError::io("write", &to))?;
        self.count(copied.bytes);
        Ok(Entry::new(&file.name, &stored, copied, Some(file.mark.clone())))
    }
}
