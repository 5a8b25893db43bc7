//! Archive files: sealed segments, compressed in pieces that can be read and checked on their own.
//!
//! ```text
//! segment head 128 | archive head 128 | chunks … | end chunk
//! chunk: "TWCK" | kind u32 | raw length u32 | packed length u32 | first commit u64 | last commit u64
//!        | first position u64 | last position u64 | CRC32C of what is packed u32 | CRC32C of this head u32 | packed
//! ```
//! What a chunk holds is a run of [`Entry`]s. The end chunk holds what is known of the archive as a whole.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::entry::Entry;
use super::merkle::{Hash, Tree};
use super::segment::{HEAD_BYTES, SegmentHead, close_head, open_head};
use crate::LogError;
use bytes::Bytes;

/// What a chunk holds at least, unless it is the last.
const CHUNK: usize = 256 * 1024;
const CHUNK_HEAD: usize = 56;
const CHUNK_MAGIC: [u8; 4] = *b"TWCK";
const ENTRIES: u32 = 0;
const END: u32 = 1;
const MAGIC: [u8; 8] = *b"TWARCH\x02\0";
const LEVEL: i32 = 3;
/// Where the chunks begin.
pub(crate) const ARCHIVE_HEAD: u64 = HEAD_BYTES + 128;
/// More than a chunk can ever hold: a record and its neighbours.
const RAW_MAX: u32 = 512 * 1024 * 1024;

/// What an archive says about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ArchiveHead {
    /// How often it was rewritten by retention.
    pub(crate) generation: u64,
    /// The last commit in it.
    pub(crate) last_commit: u64,
    /// The last position in it.
    pub(crate) last_position: u64,
    /// The latest recorded time in it and before.
    pub(crate) recorded_time: i64,
    /// The root of the segment's hash tree.
    pub(crate) root: Hash,
    /// How many bytes the segment had.
    pub(crate) raw_bytes: u64,
    /// Where the end chunk is.
    pub(crate) end: u64,
}

impl ArchiveHead {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&self.root);
        bytes.extend_from_slice(&self.recorded_time.to_le_bytes());
        for number in [self.generation, self.last_commit, self.last_position, self.raw_bytes, self.end] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        close_head(bytes)
    }

    fn decode(bytes: &[u8; 128]) -> Option<Self> {
        let body = open_head(bytes, MAGIC)?;
        let u64_at = |at: usize| body.get(at..)?.first_chunk().copied().map(u64::from_le_bytes);
        Some(Self {
            root: *body.get(8..)?.first_chunk()?,
            recorded_time: u64_at(40)?.cast_signed(),
            generation: u64_at(48)?,
            last_commit: u64_at(56)?,
            last_position: u64_at(64)?,
            raw_bytes: u64_at(72)?,
            end: u64_at(80)?,
        })
    }
}

/// Where the archive of a segment is.
pub(crate) fn archive_name(number: u64) -> String {
    format!("{number:010}.archive")
}

/// What an archive says about itself.
///
/// # Errors
/// When it cannot be read or its head is damaged.
pub(crate) fn read_archive_head(path: &Path) -> Result<ArchiveHead, LogError> {
    let file = File::open(path).map_err(LogError::io("open the archive", path))?;
    let mut bytes = [0; 128];
    let whole = file.read_exact_at(&mut bytes, HEAD_BYTES).is_ok();
    ArchiveHead::decode(&bytes).filter(|_| whole).ok_or_else(|| {
        LogError::Damaged(format!("the head of archive {} is damaged; restore it from a backup", path.display()))
    })
}

/// The head of a chunk.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ChunkHead {
    kind: u32,
    raw: u32,
    packed: u32,
    pub(crate) first_commit: u64,
    pub(crate) last_commit: u64,
    pub(crate) first_position: u64,
    pub(crate) last_position: u64,
    crc: u32,
}

impl ChunkHead {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = CHUNK_MAGIC.to_vec();
        for number in [self.kind, self.raw, self.packed] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        for number in [self.first_commit, self.last_commit, self.first_position, self.last_position] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&self.crc.to_le_bytes());
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
        bytes
    }

    fn decode(bytes: &[u8; CHUNK_HEAD]) -> Option<Self> {
        let (body, crc) = bytes.split_last_chunk::<4>()?;
        if !body.starts_with(&CHUNK_MAGIC) || u32::from_le_bytes(*crc) != crc32c::crc32c(body) {
            return None;
        }
        let u32_at = |at: usize| body.get(at..)?.first_chunk().copied().map(u32::from_le_bytes);
        let u64_at = |at: usize| body.get(at..)?.first_chunk().copied().map(u64::from_le_bytes);
        let head = Self {
            kind: u32_at(4)?,
            raw: u32_at(8)?,
            packed: u32_at(12)?,
            first_commit: u64_at(16)?,
            last_commit: u64_at(24)?,
            first_position: u64_at(32)?,
            last_position: u64_at(40)?,
            crc: u32_at(48)?,
        };
        (head.raw <= RAW_MAX && head.packed <= RAW_MAX).then_some(head)
    }
}

/// Writes an archive.
pub(crate) struct ArchiveWriter {
    file: File,
    segment: SegmentHead,
    head: ArchiveHead,
    chunk: Vec<u8>,
    chunk_head: ChunkHead,
    next_commit: u64,
    next_position: u64,
    tree: Tree,
    offset: u64,
}

impl ArchiveWriter {
    /// Begins an archive in a new file.
    pub(crate) fn create(path: &Path, segment: &SegmentHead, head: ArchiveHead) -> std::io::Result<Self> {
        let file = File::options().write(true).create(true).truncate(true).open(path)?;
        Ok(Self {
            file,
            next_commit: segment.first_commit,
            next_position: segment.first_position,
            segment: segment.clone(),
            head,
            chunk: Vec::new(),
            chunk_head: ChunkHead::default(),
            tree: Tree::default(),
            offset: ARCHIVE_HEAD,
        })
    }

    /// Adds what comes next. `last` is its last commit and position.
    pub(crate) fn push(&mut self, entry: &Entry, (last_commit, last_position): (u64, u64)) -> std::io::Result<()> {
        if self.chunk.is_empty() {
            self.chunk_head.first_commit = self.next_commit;
            self.chunk_head.first_position = self.next_position;
        }
        entry.write(&mut self.chunk);
        entry.hash_into(&mut self.tree);
        (self.chunk_head.last_commit, self.chunk_head.last_position) = (last_commit, last_position);
        (self.next_commit, self.next_position) = (last_commit + 1, last_position + 1);
        if self.chunk.len() < CHUNK { Ok(()) } else { self.write_chunk(ENTRIES) }
    }

    fn write_chunk(&mut self, kind: u32) -> std::io::Result<()> {
        let packed = zstd::bulk::compress(&self.chunk, LEVEL)?;
        let length = |len: usize| u32::try_from(len).map_err(std::io::Error::other);
        let head = ChunkHead {
            kind,
            raw: length(self.chunk.len())?,
            packed: length(packed.len())?,
            crc: crc32c::crc32c(&packed),
            ..self.chunk_head
        };
        self.file.write_all_at(&head.encode(), self.offset)?;
        self.file.write_all_at(&packed, self.offset + CHUNK_HEAD as u64)?;
        self.offset += CHUNK_HEAD as u64 + packed.len() as u64;
        self.chunk.clear();
        Ok(())
    }

    /// Notes the latest recorded time, and how many bytes the segment had.
    pub(crate) const fn set_facts(&mut self, recorded_time: i64, raw_bytes: u64) {
        self.head.recorded_time = recorded_time;
        self.head.raw_bytes = raw_bytes;
    }

    /// Writes the end and the head and brings everything to the disk. Answers the head.
    pub(crate) fn finish(mut self, summary: &[u8]) -> std::io::Result<ArchiveHead> {
        if !self.chunk.is_empty() {
            self.write_chunk(ENTRIES)?;
        }
        self.head.last_commit = self.next_commit - 1;
        self.head.last_position = self.next_position - 1;
        self.head.root = self.tree.root();
        self.head.end = self.offset;
        self.chunk_head = ChunkHead {
            first_commit: self.next_commit,
            last_commit: self.head.last_commit,
            first_position: self.next_position,
            last_position: self.head.last_position,
            ..ChunkHead::default()
        };
        self.chunk.extend_from_slice(summary);
        self.write_chunk(END)?;
        self.file.write_all_at(&self.segment.encode(), 0)?;
        self.file.write_all_at(&self.head.encode(), HEAD_BYTES)?;
        self.file.flush()?;
        self.file.sync_all()?;
        Ok(self.head)
    }
}

/// A chunk as it lies in the file.
pub(crate) struct Chunk {
    pub(crate) head: ChunkHead,
    packed: Vec<u8>,
}

impl Chunk {
    /// Whether its checksum matches.
    pub(crate) fn is_whole(&self) -> bool {
        crc32c::crc32c(&self.packed) == self.head.crc
    }

    /// What it holds.
    ///
    /// # Errors
    /// A text that says that it cannot be unpacked.
    pub(crate) fn unpack(&self) -> Result<Bytes, String> {
        let raw = usize::try_from(self.head.raw).unwrap_or(usize::MAX);
        let unpacked = zstd::bulk::decompress(&self.packed, raw);
        unpacked.map(Bytes::from).map_err(|error| format!("a part of the archive cannot be unpacked: {error}"))
    }

    /// Which positions are concerned.
    pub(crate) fn positions(&self) -> String {
        format!("positions {} to {}", self.head.first_position, self.head.last_position)
    }
}

/// Reads the chunks of an archive in order.
pub(crate) struct ArchiveReader {
    file: BufReader<File>,
    /// Where the next chunk begins.
    pub(crate) offset: u64,
    head: ArchiveHead,
}

impl ArchiveReader {
    /// A reader that stands before the first chunk.
    pub(crate) fn open(path: &Path) -> Result<Self, LogError> {
        let head = read_archive_head(path)?;
        let file = File::open(path).map_err(LogError::io("open the archive", path))?;
        let mut file = BufReader::with_capacity(256 * 1024, file);
        file.seek(SeekFrom::Start(ARCHIVE_HEAD)).map_err(LogError::io("read the archive", path))?;
        Ok(Self { file, offset: ARCHIVE_HEAD, head })
    }

    /// What the archive says about itself.
    pub(crate) const fn head(&self) -> &ArchiveHead {
        &self.head
    }

    /// The next chunk; `None` at the end of the archive.
    ///
    /// # Errors
    /// A text that says what is wrong with it.
    pub(crate) fn next_chunk(&mut self) -> Result<Option<Chunk>, String> {
        let chunk = self.read_chunk()?;
        let is_end = chunk.head.kind == END;
        if is_end != (self.offset == self.head.end) {
            return Err("a part of the archive is missing".to_owned());
        }
        self.offset += CHUNK_HEAD as u64 + chunk.packed.len() as u64;
        if !is_end {
            return Ok(Some(chunk));
        }
        if !chunk.is_whole() {
            return Err("the end of the archive is damaged".to_owned());
        }
        let mut more = [0];
        match self.file.read(&mut more) {
            Ok(0) => Ok(None),
            Ok(_) => Err("bytes follow the end of the archive".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn read_chunk(&mut self) -> Result<Chunk, String> {
        let mut bytes = [0; CHUNK_HEAD];
        self.file.read_exact(&mut bytes).map_err(|error| format!("the archive is cut short: {error}"))?;
        let head = ChunkHead::decode(&bytes).ok_or("the head of a part of the archive is damaged")?;
        let mut packed = vec![0; usize::try_from(head.packed).unwrap_or_default()];
        self.file.read_exact(&mut packed).map_err(|error| format!("the archive is cut short: {error}"))?;
        Ok(Chunk { head, packed })
    }

    /// What is known of the archive as a whole, without reading the rest.
    ///
    /// # Errors
    /// A text that says what is wrong with it.
    pub(crate) fn summary(path: &Path) -> Result<(ArchiveHead, Bytes), LogError> {
        let mut reader = Self::open(path)?;
        let end = reader.head.end;
        let read = |reader: &mut Self| {
            reader.file.seek(SeekFrom::Start(end)).map_err(|error| error.to_string())?;
            let chunk = reader.read_chunk()?;
            if chunk.head.kind != END || !chunk.is_whole() {
                return Err("the end of the archive is damaged".to_owned());
            }
            chunk.unpack()
        };
        let summary = read(&mut reader).map_err(|reason| LogError::Damaged(format!("{}: {reason}", path.display())))?;
        Ok((reader.head, summary))
    }
}
