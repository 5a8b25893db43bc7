//! Finds the files of a log that belong into a backup.
//!
//! What lies in the journal never changes in place, except the end of its last segment. A closed segment may become an
//! archive while it is looked at, which says the same.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Read, Take};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use tidewire_model::position::Position;

use super::manifest::list;
use super::{BackupError, End};
use crate::journal::archive::read_archive_head;
use crate::journal::reading::{SegmentReader, Step};
use crate::journal::segment::{self, SegmentHead};
use crate::snapshots::finished_files;

/// A file to be copied as a whole.
pub(super) struct Whole {
    /// Where it belongs in the data folder.
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    /// Changes whenever the file does.
    pub(super) mark: String,
}

impl Whole {
    /// A file as it is now; `None` when there is none.
    pub(super) fn find(name: String, path: PathBuf) -> Result<Option<Self>, BackupError> {
        match fs::metadata(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(BackupError::io("look at", path)(error)),
            Ok(data) => {
                let mark = format!("{}-{}-{}.{:09}", data.ino(), data.len(), data.mtime(), data.mtime_nsec());
                Ok(Some(Self { name, path, bytes: data.len(), mark }))
            }
        }
    }
}

/// The open segment, of which a part is copied.
pub(super) struct Tail {
    /// The file's name.
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) file: Take<File>,
    pub(super) bytes: u64,
}

/// What there is of a journal.
pub(super) struct Journal {
    pub(super) log_id: u128,
    pub(super) closed: Vec<Whole>,
    /// `None` when the last segment is closed.
    pub(super) tail: Option<Tail>,
    pub(super) end: End,
}

/// Segments by number, the plain file before an archive of it.
fn segments(journal: &Path) -> Result<BTreeMap<u64, PathBuf>, BackupError> {
    let mut found: BTreeMap<u64, PathBuf> = BTreeMap::new();
    for path in list(journal)? {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let number = name.split_once('.').filter(|(_, end)| ["journal", "archive"].contains(end));
        if let Some(number) = number.and_then(|(number, _)| number.parse().ok())
            && (name.ends_with(".journal") || !found.contains_key(&number))
        {
            found.insert(number, path);
        }
    }
    Ok(found)
}

/// The journal with all commits up to one (or all there are).
pub(super) fn journal(log: &Path, commit: Option<u64>) -> Result<Journal, BackupError> {
    let journal = log.join("journal");
    let mut found = segments(&journal)?;
    let heads = segment::list(&journal)?;
    let (Some((number, last)), Some(first)) = (found.pop_last(), heads.first()) else {
        return Err(BackupError::Source("it has no journal".to_owned()));
    };
    let (tail, end) = if last.extension().is_some_and(|end| end == "archive") {
        let head = read_archive_head(&last)?;
        let end = End { commit: head.last_commit, position: Position::new(head.last_position) };
        found.insert(number, last);
        (None, end)
    } else {
        let head = heads.iter().find(|head| head.number == number);
        let head = head.ok_or_else(|| BackupError::Source(format!("{} is no segment", last.display())))?;
        let (tail, end) = tail(&journal, head, &last, commit)?;
        (Some(tail), end)
    };
    match commit.filter(|commit| end.commit < *commit) {
        Some(commit) => {
            let why = format!("it ends at commit {}, but {commit} was confirmed", end.commit);
            Err(BackupError::Source(why))
        }
        None => {
            let closed = found.into_values().map(closed).collect::<Result<_, _>>()?;
            Ok(Journal { log_id: first.log_id, closed, tail, end })
        }
    }
}

/// A closed segment, or the archive that it became just now.
fn closed(path: PathBuf) -> Result<Whole, BackupError> {
    let name = |path: &Path| format!("log/journal/{}", path.file_name().unwrap_or_default().to_string_lossy());
    if let Some(whole) = Whole::find(name(&path), path.clone())? {
        return Ok(whole);
    }
    let archive = path.with_extension("archive");
    let found = Whole::find(name(&archive), archive)?;
    found.ok_or_else(|| BackupError::Source(format!("{} has gone", path.display())))
}

fn tail(journal: &Path, head: &SegmentHead, path: &Path, commit: Option<u64>) -> Result<(Tail, End), BackupError> {
    let file = File::open(path).map_err(BackupError::io("read", path))?;
    let mut reader = SegmentReader::open_plain(journal, head)?;
    let mut end = End { commit: head.first_commit - 1, position: Position::new(head.first_position - 1) };
    let mut bytes = reader.offset;
    while commit.is_none_or(|commit| end.commit < commit) {
        match reader.next() {
            Step::Record(record) => {
                end = End { commit: record.commit, position: Position::new(record.last_position) };
                bytes = reader.offset;
            }
            Step::End => break,
            Step::Bad(reason) => {
                return Err(BackupError::Source(format!(
                    "{reason} in {} at byte {bytes}; start the server once, which mends a torn end or says what is damaged",
                    path.display()
                )));
            }
        }
    }
    let name = format!("log/journal/{}", head.file_name());
    Ok((Tail { name, path: path.to_owned(), file: file.take(bytes), bytes }, end))
}

/// The snapshots of read models.
pub(super) fn snapshots(log: &Path) -> Result<Vec<Whole>, BackupError> {
    let mut found = Vec::new();
    for path in finished_files(log)? {
        let name = path.strip_prefix(log).unwrap_or(&path);
        found.extend(Whole::find(format!("log/{}", name.display()), path.clone())?);
    }
    Ok(found)
}

/// The content files.
pub(super) fn content(log: &Path) -> Result<Vec<Whole>, BackupError> {
    let mut found = Vec::new();
    for folder in list(&log.join("content"))? {
        let files = if folder.is_dir() { list(&folder)? } else { Vec::new() };
        for path in files.into_iter().filter(|path| path.extension().is_none()) {
            let name = path.strip_prefix(log).unwrap_or(&path);
            found.extend(Whole::find(format!("log/{}", name.display()), path.clone())?);
        }
    }
    Ok(found)
}
