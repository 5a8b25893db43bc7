//! Segment files: names, heads, growth and the chain that ties them together.
//!
//! A segment grows by zeroed pieces ahead of its end, so that most commits sync data only and no file metadata.
//! Each head holds the root of the hash tree over the segment before.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::archive::archive_name;
use super::merkle::Hash;
use super::{JournalError, is_full};
use crate::LogError;
use crate::folders::sync_folder;

/// Bytes before the first record.
pub(crate) const HEAD_BYTES: u64 = 128;
const MAGIC: [u8; 8] = *b"TWJRNL\x02\0";
/// What every head begins with; a format number and a zero follow.
const FAMILY: &[u8] = b"TWJRNL";
/// The first growth of a segment; small, so that a young log stays small and starts fast.
const GROW_MIN: u64 = 256 * 1024;
const GROW_MAX: u64 = 4 * 1024 * 1024;
/// Longer records make the segment grow themselves: writing so many bytes twice takes longer than syncing the new length.
const GROW_RECORD_MAX: usize = 128 * 1024;

/// What a segment says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SegmentHead {
    /// Which log it belongs to.
    pub(crate) log_id: u128,
    /// Its number, from 1.
    pub(crate) number: u64,
    /// The first commit in it.
    pub(crate) first_commit: u64,
    /// The first position in it.
    pub(crate) first_position: u64,
    /// The latest recorded time before it.
    pub(crate) recorded_time: i64,
    /// The root hash of the segment before; zero in the first.
    pub(crate) previous_root: Hash,
}

impl SegmentHead {
    /// The head of the first segment of a new log.
    pub(crate) const fn first(log_id: u128, now: i64) -> Self {
        Self { log_id, number: 1, first_commit: 1, first_position: 1, recorded_time: now, previous_root: [0; 32] }
    }

    /// The file's name.
    pub(crate) fn file_name(&self) -> String {
        format!("{:010}.journal", self.number)
    }

    /// Its bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(128);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&self.log_id.to_le_bytes());
        bytes.extend_from_slice(&self.number.to_le_bytes());
        bytes.extend_from_slice(&self.first_commit.to_le_bytes());
        bytes.extend_from_slice(&self.first_position.to_le_bytes());
        bytes.extend_from_slice(&self.recorded_time.to_le_bytes());
        bytes.extend_from_slice(&self.previous_root);
        close_head(bytes)
    }

    fn decode(bytes: &[u8; 128]) -> Option<Self> {
        let body = open_head(bytes, MAGIC)?;
        let u64_at = |at: usize| body.get(at..)?.first_chunk().copied().map(u64::from_le_bytes);
        Some(Self {
            log_id: body.get(8..)?.first_chunk().copied().map(u128::from_le_bytes)?,
            number: u64_at(24)?,
            first_commit: u64_at(32)?,
            first_position: u64_at(40)?,
            recorded_time: u64_at(48)?.cast_signed(),
            previous_root: *body.get(56..)?.first_chunk()?,
        })
    }
}

/// Fills a head up and puts its checksum at its end.
pub(crate) fn close_head(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.resize(124, 0);
    bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
    bytes
}

/// What stands in a head before its checksum; `None` when it is damaged or another thing's.
pub(crate) fn open_head(bytes: &[u8; 128], magic: [u8; 8]) -> Option<&[u8]> {
    let (body, crc) = bytes.split_last_chunk::<4>()?;
    (body.starts_with(&magic) && u32::from_le_bytes(*crc) == crc32c::crc32c(body)).then_some(body)
}

/// The heads of all segments in a folder, in order.
///
/// # Errors
/// When a file cannot be read, a head is damaged or a segment is missing.
pub(crate) fn list(folder: &Path) -> Result<Vec<SegmentHead>, LogError> {
    let mut heads: Vec<SegmentHead> = Vec::new();
    let entries = fs::read_dir(folder).map_err(LogError::io("list the journal folder", folder))?;
    for entry in entries {
        let path = entry.map_err(LogError::io("list the journal folder", folder))?.path();
        if is_segment(&path) {
            match read_head(&path) {
                Ok(head) => heads.push(head),
                // It became an archive just now.
                Err(_) if !path.exists() => heads.push(read_head(&path.with_extension("archive"))?),
                Err(error) => return Err(error),
            }
        }
    }
    heads.sort_by_key(|head| head.number);
    // A segment and its archive, after a crash between making the one and removing the other.
    heads.dedup_by_key(|head| head.number);
    for pair in heads.windows(2) {
        let [before, after] = pair else { continue };
        if after.number != before.number + 1 || after.log_id != before.log_id {
            return Err(LogError::Damaged(format!(
                "journal segment {} is missing or belongs to another log; restore it from a backup",
                before.number + 1
            )));
        }
    }
    match heads.first() {
        Some(first) if first.first_commit != 1 => Err(LogError::Damaged(format!(
            "the journal begins with segment {}, earlier ones are missing; restore them from a backup",
            first.number
        ))),
        _ => Ok(heads),
    }
}

/// Refuses a folder whose first segment another version wrote.
///
/// # Errors
/// When that is so. Other faults are left to [`list`].
pub(crate) fn check_format(folder: &Path) -> Result<(), LogError> {
    let entries = fs::read_dir(folder).map_err(LogError::io("list the journal folder", folder))?;
    let segments = entries.flatten().map(|entry| entry.path());
    let oldest = segments.filter(|path| is_segment(path)).min();
    match oldest.map(|path| read_head(&path)) {
        Some(Err(error @ LogError::Format { .. })) => Err(error),
        _ => Ok(()),
    }
}

/// The numbers of the segments that are plain files, in order.
///
/// # Errors
/// When the folder cannot be read.
pub(crate) fn plain_numbers(folder: &Path) -> Result<Vec<u64>, LogError> {
    let entries = fs::read_dir(folder).map_err(LogError::io("list the journal folder", folder))?;
    let paths = entries.flatten().map(|entry| entry.path());
    let number = |path: PathBuf| path.file_name()?.to_str()?.strip_suffix(".journal")?.parse().ok();
    let mut numbers: Vec<u64> = paths.filter_map(number).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// The head of a plain segment.
///
/// # Errors
/// When it cannot be read or is damaged.
pub(crate) fn head_of(folder: &Path, number: u64) -> Result<SegmentHead, LogError> {
    read_head(&folder.join(format!("{number:010}.journal")))
}

/// How long the file of a segment, or its archive, is.
pub(crate) fn file_len(folder: &Path, head: &SegmentHead) -> u64 {
    let len = |name: String| fs::metadata(folder.join(name)).map(|metadata| metadata.len());
    len(head.file_name()).or_else(|_| len(archive_name(head.number))).unwrap_or_default()
}

fn is_segment(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "journal" || extension == "archive")
}

fn read_head(path: &Path) -> Result<SegmentHead, LogError> {
    let file = File::open(path).map_err(LogError::io("open the journal segment", path))?;
    let mut bytes = [0; 128];
    let whole = file.read_exact_at(&mut bytes, 0).is_ok();
    if let Some(format) = bytes.strip_prefix(FAMILY).and_then(|rest| rest.first())
        && bytes.get(7) == Some(&0)
        && (1..=9).contains(format)
        && !bytes.starts_with(&MAGIC)
        && !is_ours_but_for_its_magic(bytes)
    {
        return Err(LogError::Format { path: path.to_owned(), format: *format });
    }
    let head = SegmentHead::decode(&bytes).filter(|_| whole);
    let matches = |head: &SegmentHead| {
        let name = path.file_name().and_then(|name| name.to_str());
        name == Some(&head.file_name()) || name == Some(&archive_name(head.number))
    };
    head.filter(matches).ok_or_else(|| {
        LogError::Damaged(format!(
            "the head of journal segment {} is damaged; restore it from a backup",
            path.display()
        ))
    })
}

/// Whether a head was written by this version and its first bytes were damaged since: its checksum is that of our format.
fn is_ours_but_for_its_magic(mut bytes: [u8; 128]) -> bool {
    bytes.iter_mut().zip(MAGIC).for_each(|(byte, ours)| *byte = ours);
    SegmentHead::decode(&bytes).is_some()
}

/// The segment that is written to.
pub(crate) struct Segment {
    pub(crate) head: SegmentHead,
    path: PathBuf,
    file: File,
    /// Where the next record goes.
    pub(crate) end: u64,
    /// Up to where the file is zeroed.
    zeroed: u64,
}

impl Segment {
    /// Creates a segment: written beside, synced, renamed, and the folder synced.
    pub(crate) fn create(folder: &Path, head: SegmentHead) -> Result<Self, LogError> {
        let (path, temporary) = (folder.join(head.file_name()), folder.join("next-segment.tmp"));
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&temporary);
        let file = file.map_err(LogError::io("create the journal segment", &temporary))?;
        file.write_all_at(&head.encode(), 0).map_err(LogError::io("write the journal segment", &temporary))?;
        file.sync_all().map_err(LogError::io("sync the journal segment", &temporary))?;
        fs::rename(&temporary, &path).map_err(LogError::io("name the journal segment", &path))?;
        sync_folder(folder)?;
        Ok(Self { head, path, file, end: HEAD_BYTES, zeroed: HEAD_BYTES })
    }

    /// Opens the last segment to go on after its last valid record.
    pub(crate) fn reopen(folder: &Path, head: SegmentHead, end: u64) -> Result<Self, LogError> {
        let path = folder.join(head.file_name());
        let file = OpenOptions::new().read(true).write(true).open(&path);
        let file = file.map_err(LogError::io("open the journal segment", &path))?;
        // A process that was killed may have written the last record and not synced it. Nobody may see it before.
        file.sync_all().map_err(LogError::io("sync the journal segment", &path))?;
        sync_folder(folder)?;
        // What lies beyond the end is zero: recovery has seen it or cut it.
        let zeroed = file.metadata().map_err(LogError::io("measure the journal segment", &path))?.len().max(end);
        Ok(Self { head, path, file, end, zeroed })
    }

    /// Writes a record at the end and makes it durable.
    pub(crate) fn append(&mut self, record: &[u8]) -> Result<(), JournalError> {
        let after = self.end + record.len() as u64;
        if after > self.zeroed && record.len() <= GROW_RECORD_MAX {
            self.grow(after)?;
        }
        if let Err(error) = self.file.write_all_at(record, self.end) {
            // Part of the record may be there. Cutting it off leaves the segment as it was.
            let cut = self.file.set_len(self.end);
            self.zeroed = self.end;
            return match cut {
                Ok(()) if is_full(&error) => Err(JournalError::Full),
                _ => Err(self.broken("write to", &error)),
            };
        }
        self.file.sync_data().map_err(|error| self.broken("sync", &error))?;
        self.end = after;
        self.zeroed = self.zeroed.max(after);
        Ok(())
    }

    /// Zeroes a piece beyond the end, with room for at least one record up to `after`.
    fn grow(&mut self, after: u64) -> Result<(), JournalError> {
        let piece = self.end.clamp(GROW_MIN, GROW_MAX);
        let target = (after + piece).next_multiple_of(4096);
        let zeros = vec![0; usize::try_from(target - self.zeroed).unwrap_or(usize::MAX)];
        match self.file.write_all_at(&zeros, self.zeroed) {
            Ok(()) => self.zeroed = target,
            Err(error) => {
                self.file.set_len(self.zeroed).map_err(|error| self.broken("shorten", &error))?;
                // A full disk may still have room for the record itself; writing it will tell.
                if !is_full(&error) {
                    return Err(self.broken("extend", &error));
                }
            }
        }
        Ok(())
    }

    /// Cuts the zeroed rest off.
    pub(crate) fn seal(&mut self) -> Result<(), JournalError> {
        let cut = self.file.set_len(self.end).and_then(|()| self.file.sync_all());
        cut.map_err(|error| self.broken("close", &error))?;
        self.zeroed = self.end;
        Ok(())
    }

    fn broken(&self, operation: &str, error: &std::io::Error) -> JournalError {
        JournalError::Broken(format!(
            "could not {operation} {}: {error}; check the disk, then restart, which verifies the journal",
            self.path.display()
        ))
    }
}
