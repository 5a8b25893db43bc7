//! One snapshot as a file: entries in compressed blocks, encrypted when the log has personal data.
//!
//! ```text
//! TWSNAP | format u8 | blocks × (length u32 | bytes) | 0 u32 | entries u64
//! block: zstd( entries × (key length u32 | value length u32 | key | value) ), sealed: nonce | ciphertext
//! ```
//! Numbers are little-endian. A hash of the whole file stands in the log's state. It is written beside, synced, named, and
//! its folder synced.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Buf, Bytes};
use sha2::{Digest, Sha256};

use super::{SnapshotInfo, Unfinished};
use crate::LogError;
use crate::digest::sha256_of;
use crate::folders::sync_folder;
use crate::hex::to_hex;
use crate::keys::{DataKey, open_bytes, seal_bytes};

const MAGIC: &[u8; 7] = b"TWSNAP\x01";
/// A block is closed when it has so many bytes.
const BLOCK: usize = 256 * 1024;
/// No block is larger: a key and the largest state fit many times.
const BLOCK_MAX: usize = 64 << 20;
const LEVEL: i32 = 3;

/// A snapshot that is being written. Dropped before it is kept, it leaves nothing behind.
pub struct SnapshotWriter {
    info: SnapshotInfo,
    out: Out,
    key: Option<Arc<DataKey>>,
    hash: Sha256,
    block: Vec<u8>,
    blocks: u64,
    entries: u64,
    unfinished: Unfinished,
}

/// What is there once a snapshot is written.
pub(super) struct Finished {
    pub(super) info: SnapshotInfo,
    /// In memory: what the file would hold.
    pub(super) bytes: Option<Bytes>,
    pub(super) unfinished: Unfinished,
}

enum Out {
    Memory(Vec<u8>),
    File { temporary: Temporary, path: PathBuf, file: File },
}

/// A file that is removed unless it got its name.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // It is gone when it was named.
        drop(fs::remove_file(&self.0));
    }
}

impl Out {
    fn create(path: Option<PathBuf>) -> Result<Self, LogError> {
        let Some(path) = path else { return Ok(Self::Memory(Vec::new())) };
        let mut temporary = path.clone().into_os_string();
        temporary.push(".tmp");
        let temporary = Temporary(PathBuf::from(temporary));
        let file = File::create(&temporary.0).map_err(LogError::io("create the snapshot", &temporary.0))?;
        Ok(Self::File { temporary, path, file })
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Memory(out) => out.write_all(bytes),
            Self::File { file, .. } => file.write_all(bytes),
        }
    }

    fn finish(self) -> Result<Option<Bytes>, LogError> {
        match self {
            Self::Memory(out) => Ok(Some(out.into())),
            Self::File { temporary, path, file } => {
                let named = file.sync_all().and_then(|()| fs::rename(&temporary.0, &path));
                named.map_err(LogError::io("write the snapshot", &path))?;
                sync_folder(path.parent().unwrap_or(Path::new(".")))?;
                Ok(None)
            }
        }
    }
}

impl SnapshotWriter {
    pub(super) fn create(
        info: SnapshotInfo,
        path: Option<PathBuf>,
        key: Option<Arc<DataKey>>,
        unfinished: Unfinished,
    ) -> Result<Self, LogError> {
        let out = Out::create(path)?;
        let (hash, block) = (Sha256::new(), Vec::new());
        let mut writer = Self { info, out, key, hash, block, blocks: 0, entries: 0, unfinished };
        writer.write(MAGIC)?;
        Ok(writer)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), LogError> {
        self.hash.update(bytes);
        self.info.bytes += bytes.len() as u64;
        self.out.write(bytes).map_err(LogError::io("write the snapshot", Path::new(&self.info.file)))
    }

    /// Adds an entry. Blocks on the disk.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn put(&mut self, key: &str, value: &[u8]) -> Result<(), LogError> {
        for part in [key.as_bytes(), value] {
            self.block.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes());
        }
        self.block.extend_from_slice(key.as_bytes());
        self.block.extend_from_slice(value);
        self.entries += 1;
        if self.block.len() >= BLOCK { self.close_block() } else { Ok(()) }
    }

    fn close_block(&mut self) -> Result<(), LogError> {
        let block = std::mem::take(&mut self.block);
        let failed = |reason| LogError::Snapshot { name: self.info.name.clone(), reason };
        let mut bytes = zstd::bulk::compress(&block, LEVEL).map_err(|error| failed(error.to_string()))?;
        if let Some(key) = &self.key {
            bytes = seal_bytes(key, &context(&self.info, self.blocks), &bytes).map_err(failed)?;
        }
        self.blocks += 1;
        self.write(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_le_bytes())?;
        self.write(&bytes)
    }

    pub(super) fn finish(mut self) -> Result<Finished, LogError> {
        if !self.block.is_empty() {
            self.close_block()?;
        }
        self.write(&0_u32.to_le_bytes())?;
        self.write(&self.entries.to_le_bytes())?;
        let bytes = self.out.finish()?;
        let info = SnapshotInfo { sha256: to_hex(&self.hash.finalize()), ..self.info };
        Ok(Finished { info, bytes, unfinished: self.unfinished })
    }
}

/// What a block is bound to: no other file's, and at no other place.
fn context(info: &SnapshotInfo, block: u64) -> Vec<u8> {
    format!("tidewire.snapshot.1\n{}\n{block}", info.file).into_bytes()
}

fn damaged(info: &SnapshotInfo, what: impl std::fmt::Display) -> LogError {
    LogError::Snapshot { name: info.name.clone(), reason: format!("its file {} is damaged: {what}", info.file) }
}

/// Compares a file with its hash.
pub(super) fn check(from: &mut dyn Read, info: &SnapshotInfo) -> Result<(), LogError> {
    let (hash, len) = sha256_of(from).map_err(|error| damaged(info, error))?;
    if len == info.bytes && to_hex(&hash) == info.sha256 {
        return Ok(());
    }
    Err(damaged(info, "it is not what was written"))
}

/// Hands over every entry.
pub(super) fn read(
    from: &mut dyn Read,
    info: &SnapshotInfo,
    key: Option<&DataKey>,
    each: &mut dyn FnMut(&str, Bytes) -> Result<(), LogError>,
) -> Result<(), LogError> {
    let bad = |error: io::Error| damaged(info, error);
    let mut magic = [0; MAGIC.len()];
    from.read_exact(&mut magic).map_err(bad)?;
    if magic != *MAGIC {
        return Err(damaged(info, "it is in a form that this version does not read"));
    }
    let (mut blocks, mut entries) = (0, 0_u64);
    loop {
        let mut len = [0; 4];
        from.read_exact(&mut len).map_err(bad)?;
        let len = u32::from_le_bytes(len) as usize;
        if len == 0 {
            break;
        }
        if len > BLOCK_MAX {
            return Err(damaged(info, "a block is too long"));
        }
        let mut bytes = vec![0; len];
        from.read_exact(&mut bytes).map_err(bad)?;
        if let Some(key) = key {
            bytes = open_bytes(key, &context(info, blocks), &bytes).map_err(|reason| damaged(info, reason))?;
        }
        blocks += 1;
        let mut block = Bytes::from(zstd::decode_all(bytes.as_slice()).map_err(bad)?);
        while block.has_remaining() {
            let (key, value) = split(&mut block).ok_or_else(|| damaged(info, "an entry is cut short"))?;
            let key = std::str::from_utf8(&key).map_err(|error| damaged(info, error))?;
            entries += 1;
            each(key, value)?;
        }
    }
    let mut count = [0; 8];
    from.read_exact(&mut count).map_err(bad)?;
    if u64::from_le_bytes(count) == entries { Ok(()) } else { Err(damaged(info, "entries are missing")) }
}

fn split(block: &mut Bytes) -> Option<(Bytes, Bytes)> {
    let key = block.try_get_u32_le().ok()? as usize;
    let value = block.try_get_u32_le().ok()? as usize;
    if key.checked_add(value)? > block.len() {
        return None;
    }
    let key = block.split_to(key);
    Some((key, block.split_to(value)))
}
