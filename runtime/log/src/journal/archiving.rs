//! Turns sealed segments into archives.
//!
//! The archive is written beside, synced, checked, named, and its folder synced; only then the segment goes. After a
//! crash either is there, or both, of which one is kept.

use std::fs;
use std::io;
use std::path::Path;

use super::archive::{ArchiveHead, ArchiveWriter, archive_name, read_archive_head};
use super::entry::Entry;
use super::merkle::{Hash, Tree};
use super::reading::SegmentReader;
use super::segment::SegmentHead;
use super::summary::Summing;
use crate::LogError;
use crate::folders::sync_folder;

/// A step on the way to an archive. Tests stop before each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Write,
    Check,
    Name,
    SyncName,
    Remove,
    SyncRemoval,
}

/// Whether to go on with a step, and with each record before it.
pub(crate) type Halt<'a> = &'a mut dyn FnMut(Stage) -> bool;

/// Turns a sealed segment into an archive. Answers its head, or `None` when it was told to stop.
///
/// # Errors
/// When files cannot be read or written, or the segment is damaged; it stays as it is then.
pub(crate) fn archive(
    folder: &Path,
    segment: &SegmentHead,
    root: Hash,
    halt: Halt<'_>,
) -> Result<Option<ArchiveHead>, LogError> {
    let temporary = folder.join(format!("{}.tmp", archive_name(segment.number)));
    let mut reader = SegmentReader::open_plain(folder, segment)?;
    let mut writer = ArchiveWriter::create(&temporary, segment, ArchiveHead::default())
        .map_err(LogError::io("create the archive", &temporary))?;
    let mut summing = Summing::default();
    let mut recorded_time = segment.recorded_time;
    loop {
        if !halt(Stage::Write) {
            return Ok(None);
        }
        let entry = reader.next_entry().map_err(|reason| {
            LogError::Damaged(format!("{reason} in {} at byte {}", segment.file_name(), reader.offset))
        })?;
        let Some(entry) = entry else { break };
        if let Entry::Whole(record) = &entry {
            summing.add(record);
            recorded_time = recorded_time.max(record.recorded_time);
        }
        writer.push(&entry, reader.last()).map_err(LogError::io("write the archive", &temporary))?;
    }
    writer.set_facts(recorded_time, reader.offset);
    let summary = summing.finish().encode();
    let head = writer.finish(&summary).map_err(LogError::io("write the archive", &temporary))?;
    if put_in_place(folder, segment, &temporary, root, halt)?.is_none() || !halt(Stage::Remove) {
        return Ok(None);
    }
    remove_plain(folder, segment, halt)?;
    Ok(Some(head))
}

/// Checks an archive that was written beside, and gives it its name. `None` when it was told to stop.
pub(crate) fn put_in_place(
    folder: &Path,
    segment: &SegmentHead,
    temporary: &Path,
    root: Hash,
    halt: Halt<'_>,
) -> Result<Option<()>, LogError> {
    if !halt(Stage::Check) {
        return Ok(None);
    }
    if let Err(reason) = check(temporary, segment, root) {
        drop(fs::remove_file(temporary));
        return Err(LogError::Damaged(format!("a new archive of segment {} is not right: {reason}", segment.number)));
    }
    if !halt(Stage::Name) {
        return Ok(None);
    }
    let path = folder.join(archive_name(segment.number));
    fs::rename(temporary, &path).map_err(LogError::io("name the archive", &path))?;
    if !halt(Stage::SyncName) {
        return Ok(None);
    }
    sync_folder(folder)?;
    Ok(Some(()))
}

fn remove_plain(folder: &Path, segment: &SegmentHead, halt: Halt<'_>) -> Result<(), LogError> {
    let path = folder.join(segment.file_name());
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(LogError::io("remove the archived segment", &path)(error))
        }
        _ if halt(Stage::SyncRemoval) => sync_folder(folder),
        _ => Ok(()),
    }
}

/// Reads a whole archive and compares its root.
fn check(path: &Path, segment: &SegmentHead, root: Hash) -> Result<(), String> {
    let name = path.display().to_string();
    let mut reader = SegmentReader::open_archive_file(path, name, segment).map_err(|error| error.full_text())?;
    let mut tree = Tree::default();
    while let Some(entry) = reader.next_entry()? {
        if !entry.hash_into(&mut tree) {
            return Err("its hashes do not fit".to_owned());
        }
    }
    if tree.root() == root { Ok(()) } else { Err("its hash is not that of the segment".to_owned()) }
}

/// Clears what a crash left: unfinished archives, and one of a segment and its archive where both are there.
///
/// # Errors
/// When files cannot be read or removed.
pub(crate) fn tidy(folder: &Path, heads: &[SegmentHead]) -> Result<Vec<String>, LogError> {
    let mut notices = Vec::new();
    let entries = fs::read_dir(folder).map_err(LogError::io("list the journal folder", folder))?;
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.to_str().is_some_and(|name| name.ends_with(".archive.tmp")) {
            fs::remove_file(&path).map_err(LogError::io("remove the unfinished archive", &path))?;
        }
    }
    for pair in heads.windows(2) {
        let [segment, next] = pair else { continue };
        let path = folder.join(archive_name(segment.number));
        if !path.exists() || !folder.join(segment.file_name()).exists() {
            continue;
        }
        match check(&path, segment, next.previous_root) {
            Ok(()) => remove_plain(folder, segment, &mut |_| true)?,
            Err(reason) => {
                notices.push(format!(
                    "an archive was made again, because the one that was there is damaged: {} ({reason})",
                    path.display()
                ));
                fs::remove_file(&path).map_err(LogError::io("remove the damaged archive", &path))?;
                sync_folder(folder)?;
            }
        }
    }
    Ok(notices)
}

/// Whether a segment is an archive, and nothing else.
pub(crate) fn is_archived(folder: &Path, segment: &SegmentHead) -> bool {
    !folder.join(segment.file_name()).exists() && read_archive_head(&folder.join(archive_name(segment.number))).is_ok()
}

/// Up to which position retention may have dropped events.
pub(crate) fn compacted_through(folder: &Path) -> u64 {
    let paths = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let archives = paths.filter(|path| path.extension().is_some_and(|extension| extension == "archive"));
    let heads = archives.filter_map(|path| read_archive_head(&path).ok());
    heads.filter(|head| head.generation > 0).map(|head| head.last_position).max().unwrap_or_default()
}

#[cfg(test)]
#[path = "archiving_tests.rs"]
mod tests;
