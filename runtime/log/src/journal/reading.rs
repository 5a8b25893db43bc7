//! Reads a segment in order, whether it is a plain file or an archive.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::Path;

use bytes::Bytes;

use super::archive::{ArchiveReader, Chunk, archive_name};
use super::entry::Entry;
use super::record::{RECORD_HEAD, Record, RecordHead};
use super::segment::{HEAD_BYTES, SegmentHead};
use crate::LogError;

/// What comes next in a segment.
pub(crate) enum Step {
    /// A valid record, or what is left of it. A gap is a record without events that ends where the gap ends.
    Record(Box<Record>),
    /// Zeroes, or nothing.
    End,
    /// Something that is no record.
    Bad(String),
}

enum Source {
    Plain(BufReader<File>),
    Archive(Box<ArchiveReader>, Bytes, Option<Chunk>),
}

/// Reads what stands in one segment in order.
pub(crate) struct SegmentReader {
    source: Source,
    /// The file's name.
    pub(crate) name: String,
    /// Where the next record, or part of an archive, begins.
    pub(crate) offset: u64,
    commit: u64,
    position: u64,
    /// Why the file could not be read, if that is so: what cannot be read may be whole.
    pub(crate) error: Option<std::io::Error>,
}

impl SegmentReader {
    /// A reader that stands before the first record.
    ///
    /// # Errors
    /// When there is neither a file nor an archive that can be read.
    pub(crate) fn open(folder: &Path, head: &SegmentHead) -> Result<Self, LogError> {
        match Self::open_plain(folder, head) {
            // It became an archive, perhaps just now.
            Err(LogError::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {
                Self::open_archive(folder, head)
            }
            other => other,
        }
    }

    /// A reader of the plain file.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn open_plain(folder: &Path, head: &SegmentHead) -> Result<Self, LogError> {
        let path = folder.join(head.file_name());
        let mut file = File::open(&path).map_err(LogError::io("open the journal segment", &path))?;
        file.seek(SeekFrom::Start(HEAD_BYTES)).map_err(LogError::io("read the journal segment", &path))?;
        let file = BufReader::with_capacity(256 * 1024, file);
        Ok(Self::new(Source::Plain(file), head.file_name(), HEAD_BYTES, head))
    }

    /// A reader of the archive.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn open_archive(folder: &Path, head: &SegmentHead) -> Result<Self, LogError> {
        let name = archive_name(head.number);
        Self::open_archive_file(&folder.join(&name), name, head)
    }

    /// A reader of an archive that has another name.
    ///
    /// # Errors
    /// When it cannot be read.
    pub(crate) fn open_archive_file(path: &Path, name: String, head: &SegmentHead) -> Result<Self, LogError> {
        let archive = ArchiveReader::open(path)?;
        let offset = archive.offset;
        Ok(Self::new(Source::Archive(Box::new(archive), Bytes::new(), None), name, offset, head))
    }

    const fn new(source: Source, name: String, offset: u64, head: &SegmentHead) -> Self {
        Self { source, name, offset, commit: head.first_commit, position: head.first_position, error: None }
    }

    /// The archive that is read, if it is one.
    pub(crate) fn archive(&self) -> Option<&ArchiveReader> {
        match &self.source {
            Source::Plain(_) => None,
            Source::Archive(archive, ..) => Some(archive),
        }
    }

    /// The commit and position before what comes next.
    pub(crate) const fn last(&self) -> (u64, u64) {
        (self.commit - 1, self.position - 1)
    }

    /// Goes on behind the damage that was just met. Answers the part of the archive that is damaged; `None` when
    /// there is no telling where the next one begins.
    pub(crate) fn skip_chunk(&mut self) -> Option<Chunk> {
        let Source::Archive(archive, rest, current) = &mut self.source else { return None };
        let chunk = current.take()?;
        rest.clear();
        self.offset = archive.offset;
        (self.commit, self.position) = (chunk.head.last_commit + 1, chunk.head.last_position + 1);
        Some(chunk)
    }

    /// Goes on with the record at an offset of a plain file.
    ///
    /// # Errors
    /// When the file cannot be read there.
    pub(crate) fn skip_to(&mut self, offset: u64, commit: u64, position: u64) -> std::io::Result<()> {
        if let Source::Plain(file) = &mut self.source {
            file.seek(SeekFrom::Start(offset))?;
        }
        (self.offset, self.commit, self.position) = (offset, commit, position);
        Ok(())
    }

    /// Passes over the records of a plain file that come before a commit, looking at nothing but their heads. Stops
    /// at whatever is no record.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(crate) fn pass_to(&mut self, commit: u64) -> std::io::Result<()> {
        let Source::Plain(file) = &mut self.source else { return Ok(()) };
        while self.commit < commit {
            let mut bytes = [0; RECORD_HEAD];
            let read = fill(file, &mut bytes)?;
            let head = RecordHead::parse(&bytes).filter(|head| read == RECORD_HEAD && head.commit < commit);
            let Some(head) = head else {
                return file.seek_relative(-i64::try_from(read).unwrap_or_default());
            };
            file.seek_relative(i64::try_from(head.payload).unwrap_or(i64::MAX))?;
            self.offset += (RECORD_HEAD + head.payload) as u64;
            (self.commit, self.position) = head.after();
        }
        Ok(())
    }

    /// The next record. Not to be called again after anything else.
    pub(crate) fn next(&mut self) -> Step {
        match self.next_entry().and_then(|entry| entry.map(Entry::into_record).transpose()) {
            Ok(Some(record)) => Step::Record(Box::new(record)),
            Ok(None) => Step::End,
            Err(reason) => Step::Bad(reason),
        }
    }

    /// The next record of a plain file as it stands there, without looking at its events. As [`Self::next_entry`]
    /// otherwise.
    ///
    /// # Errors
    /// A text that says what is wrong with it.
    pub(crate) fn next_bytes(&mut self) -> Result<Option<(RecordHead, Bytes)>, String> {
        let Source::Plain(file) = &mut self.source else { return Ok(None) };
        let next = next_plain(file).map_err(|unread| unread.text(&mut self.error))?;
        let Some((head, bytes)) = next else { return Ok(None) };
        self.belongs_here(head.commit, head.first_position)?;
        self.offset += bytes.len() as u64;
        (self.commit, self.position) = head.after();
        Ok(Some((head, bytes)))
    }

    /// What comes next; `None` at the end. Not to be called again after anything else.
    ///
    /// # Errors
    /// A text that says what is wrong with it.
    pub(crate) fn next_entry(&mut self) -> Result<Option<Entry>, String> {
        let Source::Archive(archive, rest, current) = &mut self.source else { return self.next_plain_entry() };
        if rest.is_empty() {
            self.offset = archive.offset;
            *current = None;
            let Some(chunk) = archive.next_chunk()? else {
                let (end, found) = (archive.head().last_commit, self.commit - 1);
                return if end == found { Ok(None) } else { Err(format!("commits after {found} are missing")) };
            };
            let chunk = current.insert(chunk);
            if !chunk.is_whole() {
                return Err(format!("a part of the archive is damaged ({})", chunk.positions()));
            }
            *rest = chunk.unpack()?;
        }
        let entry = Entry::read(rest)?;
        self.follow(&entry)?;
        Ok(Some(entry))
    }

    fn next_plain_entry(&mut self) -> Result<Option<Entry>, String> {
        let before = (self.offset, self.commit, self.position);
        let Some((head, bytes)) = self.next_bytes()? else { return Ok(None) };
        match Record::decode_checked(head, bytes) {
            Ok(record) => Ok(Some(Entry::Whole(Box::new(record)))),
            Err(reason) => {
                // It stands before what is wrong.
                (self.offset, self.commit, self.position) = before;
                Err(reason)
            }
        }
    }

    /// Checks that an entry belongs here.
    fn follow(&mut self, entry: &Entry) -> Result<(), String> {
        let (commit, position, positions) = match entry {
            Entry::Whole(record) => (record.commit, record.first_position, record.events.len() as u64),
            Entry::Thin(thin) => {
                let fields = thin.fields();
                (fields.commit, fields.first_position, fields.events)
            }
            Entry::Gap(gap) => (gap.first_commit, gap.first_position, gap.positions),
        };
        self.belongs_here(commit, position)?;
        self.commit = entry.last_commit() + 1;
        self.position += positions;
        Ok(())
    }

    fn belongs_here(&self, commit: u64, position: u64) -> Result<(), String> {
        if commit == self.commit && position == self.position {
            return Ok(());
        }
        Err(format!("commit {commit} stands where {} belongs", self.commit))
    }
}

/// Why a record was not read.
enum Unread {
    Disk(std::io::Error),
    Bad(String),
}

impl Unread {
    /// Says it, and keeps an error of the disk.
    fn text(self, error: &mut Option<std::io::Error>) -> String {
        match self {
            Self::Bad(reason) => reason,
            Self::Disk(source) => error.insert(source).to_string(),
        }
    }
}

/// The next record of a plain file, whose checksum matches; `None` at its end.
fn next_plain(file: &mut BufReader<File>) -> Result<Option<(RecordHead, Bytes)>, Unread> {
    let bad = |reason: &str| Unread::Bad(reason.to_owned());
    let mut bytes = vec![0; RECORD_HEAD];
    match fill(file, &mut bytes).map_err(Unread::Disk)? {
        read if bytes.get(..read).is_none_or(|bytes| bytes.iter().all(|byte| *byte == 0)) => return Ok(None),
        RECORD_HEAD => {}
        _ => return Err(bad("a record is cut short")),
    }
    let head = RecordHead::parse(&bytes).ok_or_else(|| bad("a record has no valid head"))?;
    let read = file.take(head.payload as u64).read_to_end(&mut bytes).map_err(Unread::Disk)?;
    if read != head.payload {
        return Err(bad("a record is cut short"));
    }
    head.check(&bytes).map_err(Unread::Bad)?;
    Ok(Some((head, Bytes::from(bytes))))
}

fn fill(file: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}
