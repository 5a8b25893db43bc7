//! Reading segments back: the end of the last one at start-up, and whole ones for a rebuild.
//!
//! At most one commit is ever under way, so only the last record can be torn. A bad record is cut only when no
//! valid record follows it, and what is cut is kept beside; anywhere else it is damage that a person must see.

use std::fs::{self, File, OpenOptions};
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use bytes::Bytes;

use super::merkle::Tree;
use super::record::{self, MAGIC, RECORD_HEAD, Record, RecordHead};
use super::segment::{HEAD_BYTES, SegmentHead, sync_folder};
use crate::LogError;

/// Where the journal ends.
pub(crate) struct End {
    pub(crate) offset: u64,
    pub(crate) commit: u64,
    pub(crate) position: u64,
    pub(crate) recorded_time: i64,
    pub(crate) tree: Tree,
}

/// What comes next in a segment.
pub(crate) enum Step {
    /// A valid record.
    Record(Box<Record>),
    /// Zeroes, or nothing.
    End,
    /// Something that is no record.
    Bad(String),
}

/// Reads the records of one segment in order.
pub(crate) struct SegmentReader {
    file: BufReader<File>,
    /// Where the next record begins.
    pub(crate) offset: u64,
    commit: u64,
    position: u64,
    /// Why the file could not be read, if that is so: what cannot be read may be whole.
    error: Option<std::io::Error>,
}

impl SegmentReader {
    /// A reader that stands before the first record.
    pub(crate) fn open(folder: &Path, head: &SegmentHead) -> Result<Self, LogError> {
        let path = folder.join(head.file_name());
        let mut file = File::open(&path).map_err(LogError::io("open the journal segment", &path))?;
        file.seek(SeekFrom::Start(HEAD_BYTES)).map_err(LogError::io("read the journal segment", &path))?;
        let file = BufReader::with_capacity(256 * 1024, file);
        Ok(Self { file, offset: HEAD_BYTES, commit: head.first_commit, position: head.first_position, error: None })
    }

    /// The next record. Not to be called again after anything else.
    pub(crate) fn next(&mut self) -> Step {
        let mut bytes = vec![0; RECORD_HEAD];
        match fill(&mut self.file, &mut bytes) {
            Ok(read) if bytes.get(..read).is_none_or(|bytes| bytes.iter().all(|byte| *byte == 0)) => return Step::End,
            Ok(RECORD_HEAD) => {}
            Ok(_) => return Step::Bad("a record is cut short".to_owned()),
            Err(error) => return self.unreadable(error),
        }
        let Some(head) = RecordHead::parse(&bytes) else { return Step::Bad("a record has no valid head".to_owned()) };
        let mut payload = Vec::new();
        match (&mut self.file).take(head.payload as u64).read_to_end(&mut payload) {
            Ok(read) if read == head.payload => bytes.append(&mut payload),
            Ok(_) => return Step::Bad("a record is cut short".to_owned()),
            Err(error) => return self.unreadable(error),
        }
        let len = bytes.len() as u64;
        match Record::decode(Bytes::from(bytes)) {
            Ok(record) if record.commit != self.commit || head.first_position != self.position => {
                Step::Bad(format!("commit {} stands where {} belongs", record.commit, self.commit))
            }
            Ok(record) => {
                self.offset += len;
                self.commit += 1;
                self.position = record.last_position + 1;
                Step::Record(Box::new(record))
            }
            Err(reason) => Step::Bad(reason),
        }
    }

    fn unreadable(&mut self, error: std::io::Error) -> Step {
        let reason = error.to_string();
        self.error = Some(error);
        Step::Bad(reason)
    }
}

fn fill(file: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Finds the end of the last segment and cuts a torn record there. Answers what was cut.
///
/// # Errors
/// When the segment cannot be read, or is damaged before its last record.
pub(crate) fn recover_end(folder: &Path, head: &SegmentHead) -> Result<(End, Vec<String>), LogError> {
    let mut reader = SegmentReader::open(folder, head)?;
    let mut end = End {
        offset: HEAD_BYTES,
        commit: head.first_commit - 1,
        position: head.first_position - 1,
        recorded_time: head.recorded_time,
        tree: Tree::default(),
    };
    let reason = loop {
        match reader.next() {
            Step::Record(record) => {
                end.offset = reader.offset;
                end.commit = record.commit;
                end.position = record.last_position;
                end.recorded_time = end.recorded_time.max(record.recorded_time);
                end.tree.push(record::leaf(&record.bytes));
            }
            Step::End => break None,
            Step::Bad(reason) => break Some(reason),
        }
    };
    let path = folder.join(head.file_name());
    if let Some(error) = reader.error {
        return Err(LogError::io("read the journal segment", &path)(error));
    }
    let rest = read_rest(&path, end.offset)?;
    if rest.iter().all(|byte| *byte == 0) {
        return Ok((end, Vec::new()));
    }
    let reason = reason.unwrap_or_else(|| "bytes follow the last record".to_owned());
    if let Some(commit) = later_record(&rest, end.commit) {
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

/// The number of a whole, valid, later record anywhere after the first byte of `rest`.
fn later_record(rest: &[u8], commit: u64) -> Option<u64> {
    let mut at = 1;
    while let Some(found) = rest.get(at..).and_then(|rest| find(rest, &MAGIC)) {
        let bytes = rest.get(at + found..).unwrap_or_default();
        if let Some(head) = RecordHead::parse(bytes)
            && head.commit > commit
            && head.check(bytes).is_ok()
        {
            return Some(head.commit);
        }
        at += found + 1;
    }
    None
}

fn find(within: &[u8], what: &[u8; 4]) -> Option<usize> {
    within.windows(4).position(|window| window == what)
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
    let notice = format!(
        "the last commit of the journal was torn ({reason}) and was cut after position {}; its {used} bytes are {kept}",
        end.position
    );
    tracing::warn!(position = end.position, bytes = used, reason, "torn last commit cut from the journal");
    Ok(notice)
}

#[cfg(test)]
#[path = "recovery_tests.rs"]
mod tests;
