//! Makes a folder from a backup, as it was at its end or at an earlier point.

use std::fs::{self, File};
use std::io::{Cursor, Read};
use std::path::Path;

use tidewire_model::position::Position;

use super::manifest::{copy, list, make_folder, sync_folders};
use super::verify::{complete, damaged_files};
use super::{BackupError, End, Progress};
use crate::journal::entry::Entry;
use crate::journal::reading::SegmentReader;
use crate::journal::record::Record;
use crate::journal::segment::{self, HEAD_BYTES, SegmentHead};
use crate::verify::{Pass, verify_journal};

/// Up to where a log is restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum At {
    /// All there is.
    #[default]
    End,
    /// The last whole commit that goes no further than this position.
    Position(Position),
    /// The last commit recorded no later than this, in milliseconds since 1970.
    Time(i64),
}

impl At {
    /// Whether a segment may hold something that is wanted.
    const fn reaches(self, head: &SegmentHead) -> bool {
        match self {
            Self::End => true,
            Self::Position(position) => head.first_position <= position.get(),
            Self::Time(time) => head.recorded_time <= time,
        }
    }

    const fn wants(self, record: &Record) -> bool {
        match self {
            Self::End => true,
            Self::Position(position) => record.last_position <= position.get(),
            Self::Time(time) => record.recorded_time <= time,
        }
    }
}

/// What was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// Where it ends.
    pub end: End,
    /// How many files it has.
    pub files: u64,
    /// How many bytes they have.
    pub bytes: u64,
}

/// Makes a data folder from a backup. Every file is checked before, the log afterwards; the indexed store is rebuilt when
/// the log is opened.
///
/// # Errors
/// When the backup is incomplete or damaged, when the folder is not empty, or when files cannot be written. The folder
/// is as it was then.
pub fn restore(backup: &Path, to: &Path, at: At, progress: &Progress) -> Result<Restored, BackupError> {
    let manifest = complete(backup)?;
    if to.exists() && (!to.is_dir() || !list(to)?.is_empty()) {
        return Err(BackupError::NotEmpty { path: to.to_owned() });
    }
    // They are read twice: to be checked and to be copied.
    manifest.files.iter().for_each(|entry| progress.expect(entry.bytes));
    let problems = damaged_files(backup, &manifest, progress)?;
    if !problems.is_empty() {
        return Err(BackupError::Damaged(problems.join("; ")));
    }
    let existed = to.exists();
    let mut restored = Restored { end: manifest.end, files: 0, bytes: 0 };
    let mut fill = || {
        make_folder(to)?;
        for entry in &manifest.files {
            let (from, to) = (backup.join(entry.stored()), to.join(&entry.name));
            let mut file = File::open(&from).map_err(BackupError::io("read", &from))?;
            let copied = copy((&from, &mut file), &to, progress)?;
            if copied.sha256 != entry.sha256 {
                return Err(BackupError::Damaged(format!("{} is not what was backed up", from.display())));
            }
            let keeps = file.metadata().and_then(|data| fs::set_permissions(&to, data.permissions()));
            keeps.map_err(BackupError::io("write", &to))?;
            restored.files += 1;
            restored.bytes += copied.bytes;
        }
        if at != At::End {
            restored.end = cut(&to.join("log/journal"), at)?;
        }
        // A read model that lacks its snapshot says so; it is no reason to do without the events.
        let (verified, _) =
            verify_journal(&to.join("log"), Pass { watch: &mut |_| true, through: None, is_gone: &|_| false })?;
        let problems = verified.problems;
        if !problems.is_empty() {
            return Err(BackupError::Damaged(problems.join("; ")));
        }
        sync_folders(to)
    };
    let filled = fill();
    if filled.is_err() {
        drop(fs::remove_dir_all(to));
        if existed {
            drop(fs::create_dir(to));
        }
    }
    filled.map(|()| restored)
}

/// Removes what is not wanted from a journal that nobody uses. Answers where it ends then.
fn cut(journal: &Path, at: At) -> Result<End, BackupError> {
    let mut heads = segment::list(journal)?;
    while let Some(head) = heads.pop_if(|head| head.number > 1 && !at.reaches(head)) {
        remove(journal, &head)?;
    }
    let Some(last) = heads.last() else { return Err(BackupError::At("it has no journal".to_owned())) };
    let mut reader = SegmentReader::open(journal, last)?;
    let mut end = End { commit: last.first_commit - 1, position: Position::new(last.first_position - 1) };
    let mut bytes = read_head(journal, last)?;
    loop {
        match reader.next_entry().map_err(BackupError::Damaged)? {
            // All of it is wanted.
            None => return Ok(end),
            Some(Entry::Whole(record)) if at.wants(&record) => {
                end = End { commit: record.commit, position: Position::new(record.last_position) };
                bytes.extend_from_slice(&record.bytes);
            }
            Some(Entry::Whole(_)) => break,
            Some(_) => {
                return Err(BackupError::At(format!(
                    "events near there were dropped by retention; it can be restored up to position {}, or further than \
                     there",
                    last.first_position - 1
                )));
            }
        }
    }
    if end.commit == 0 {
        return Err(BackupError::At("it begins later".to_owned()));
    }
    remove(journal, last)?;
    let path = journal.join(last.file_name());
    copy((&path, &mut Cursor::new(bytes)), &path, &Progress::default())?;
    Ok(end)
}

/// A plain segment or its archive.
fn remove(journal: &Path, head: &SegmentHead) -> Result<(), BackupError> {
    for path in files_of(journal, head) {
        fs::remove_file(&path).map_err(BackupError::io("remove", &path))?;
    }
    Ok(())
}

fn files_of(journal: &Path, head: &SegmentHead) -> impl Iterator<Item = std::path::PathBuf> {
    let plain = journal.join(head.file_name());
    [plain.with_extension("archive"), plain].into_iter().filter(|path| path.exists())
}

/// The bytes before the first record, which an archive begins with as well.
fn read_head(journal: &Path, head: &SegmentHead) -> Result<Vec<u8>, BackupError> {
    let path = files_of(journal, head).last().unwrap_or_else(|| journal.join(head.file_name()));
    let mut bytes = Vec::new();
    let read = File::open(&path).and_then(|file| file.take(HEAD_BYTES).read_to_end(&mut bytes));
    read.map_err(BackupError::io("read", &path))?;
    Ok(bytes)
}
