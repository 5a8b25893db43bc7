//! Finding the end of the journal at start-up.
//!
//! At most one commit is ever under way, so only the last record can be torn. A bad record is cut only when no
//! valid record follows it, and what is cut is kept beside; anywhere else it is damage that a person must see.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use bytes::Bytes;

use super::damage::{in_record, later_record};
use super::merkle::Tree;
use super::reading::SegmentReader;
use super::record::{self, RECORD_HEAD, Record, RecordHead};
use super::segment::{HEAD_BYTES, SegmentHead};
use crate::LogError;
use crate::folders::sync_folder;

/// Where the journal ends.
pub(crate) struct End {
    pub(crate) offset: u64,
    pub(crate) commit: u64,
    pub(crate) position: u64,
    pub(crate) recorded_time: i64,
    pub(crate) tree: Tree,
}

/// Finds the end of the last segment and cuts a torn record there. Answers what was cut.
///
/// # Errors
/// When the segment cannot be read, or is damaged before its last record.
pub(crate) fn recover_end(folder: &Path, head: &SegmentHead) -> Result<(End, Vec<String>), LogError> {
    let mut reader = SegmentReader::open_plain(folder, head)?;
    let mut end = End {
        offset: HEAD_BYTES,
        commit: head.first_commit - 1,
        position: head.first_position - 1,
        recorded_time: head.recorded_time,
        tree: Tree::default(),
    };
    let mut last_with_events = None;
    let reason = loop {
        match reader.next_bytes() {
            Ok(Some((record, bytes))) => {
                end.offset = reader.offset;
                (end.commit, end.position) = reader.last();
                end.tree.push(record::leaf(&bytes));
                if record.events > 0 {
                    last_with_events = Some((record, bytes));
                }
            }
            Ok(None) => break None,
            Err(reason) => break Some(reason),
        }
    };
    let path = folder.join(head.file_name());
    if let Some(error) = reader.error {
        return Err(LogError::io("read the journal segment", &path)(error));
    }
    if let Some((head, bytes)) = last_with_events {
        // Recorded times never go back.
        let last = Record::decode_checked(head, bytes);
        let last = last.map_err(|reason| LogError::Damaged(format!("{reason} in {}", path.display())))?;
        end.recorded_time = end.recorded_time.max(last.recorded_time);
    }
    let rest = read_rest(&path, end.offset)?;
    if rest.iter().all(|byte| *byte == 0) {
        return Ok((end, Vec::new()));
    }
    let reason = reason.unwrap_or_else(|| "bytes follow the last record".to_owned());
    if let Some((_, RecordHead { commit, .. })) = later_record(&rest, end.commit) {
        return Err(LogError::Damaged(format!(
            "{reason} in {} at byte {}, and commit {commit} follows it; restore the segment from a backup",
            path.display(),
            end.offset
        )));
    }
    let notice = cut(folder, &path, &rest, &end, &reason)?;
    Ok((end, vec![notice]))
}

fn read_rest(path: &Path, offset: u64) -> Result<Vec<u8>, LogError> {
    let mut file = File::open(path).map_err(LogError::io("open the journal segment", path))?;
    let mut rest = Vec::new();
    file.seek(SeekFrom::Start(offset))
        .and_then(|_| file.read_to_end(&mut rest))
        .map_err(LogError::io("read the journal segment", path))?;
    Ok(rest)
}

/// What is hit, when the last commit is there as a whole: then it was perhaps confirmed, and something changed it.
fn damaged_last(rest: &[u8], end: &End) -> Option<String> {
    let head = RecordHead::parse(rest)?;
    let whole = rest.get(..RECORD_HEAD + head.payload)?;
    let written_to_its_end = whole.last() != Some(&0) || rest.get(RECORD_HEAD + head.payload).is_some();
    let hit = in_record(&Bytes::copy_from_slice(whole), &head);
    // A torn commit lacks its end; a damaged one is hit in few places.
    let is_damage = written_to_its_end && head.commit == end.commit + 1 && hit.len() <= 3 && !whole.ends_with(&[0; 64]);
    is_damage.then(|| hit.join(", "))
}

fn cut(folder: &Path, path: &Path, rest: &[u8], end: &End, reason: &str) -> Result<String, LogError> {
    let used = rest.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let kept = folder.join(format!("torn-after-commit-{}.bin", end.commit));
    let copy = fs::write(&kept, rest.get(..used).unwrap_or_default());
    let file = OpenOptions::new().write(true).open(path).map_err(LogError::io("open the journal segment", path))?;
    file.set_len(end.offset)
        .and_then(|()| file.sync_all())
        .map_err(LogError::io("cut the torn end of the journal segment", path))?;
    sync_folder(folder)?;
    let kept =
        copy.map_or_else(|error| format!("could not be kept: {error}"), |()| format!("kept in {}", kept.display()));
    let what = match damaged_last(rest, end) {
        Some(hit) => format!("the last commit of the journal is damaged at its tail ({hit})"),
        None => format!("the last commit of the journal was torn ({reason})"),
    };
    let notice = format!("{what} and was cut after position {}; its {used} bytes are {kept}", end.position);
    tracing::warn!(position = end.position, bytes = used, reason, what, "damaged last commit cut from the journal");
    Ok(notice)
}

#[cfg(test)]
#[path = "recovery_tests.rs"]
mod tests;
