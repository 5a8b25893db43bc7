//! What can be read in files without a key, compressed or not.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use memchr::memmem;

/// How a piece of an archive begins.
const ZSTD: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];
/// A block of the store: its length, a checksum, the number of its events, and how many pieces hold the rest.
const BLOCK_HEAD: usize = 16;
const BLOCK_MAX: u32 = 64 * 1024;
const BLOCK_EVENTS_MAX: u32 = 32;

/// All files below a folder.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// What a file holds: as it is, and everything in it that can be decompressed.
pub fn texts(path: &Path) -> Vec<Vec<u8>> {
    let bytes = fs::read(path).unwrap();
    let archived = memmem::find_iter(&bytes, &ZSTD).map(|at| unpack(&bytes[at..]));
    let mut all: Vec<_> = archived.chain(blocks(&bytes)).collect();
    all.push(bytes);
    all
}

/// As much as can be decompressed; what follows it does not matter.
fn unpack(bytes: &[u8]) -> Vec<u8> {
    let mut unpacked = Vec::new();
    if let Ok(decoder) = zstd::stream::read::Decoder::with_buffer(bytes) {
        drop(decoder.single_frame().read_to_end(&mut unpacked));
    }
    unpacked
}

/// Everything that looks like a block: the number of events has three zeroes at its end, that of pieces is zero.
fn blocks(bytes: &[u8]) -> Vec<Vec<u8>> {
    let (mut found, mut from) = (Vec::new(), 0);
    while let Some(zeroes) = memmem::find(&bytes[from..], &[0; 7]).map(|at| from + at) {
        found.extend(zeroes.checked_sub(9).and_then(|at| block(&bytes[at..])));
        let rest = bytes[zeroes..].iter().position(|byte| *byte != 0);
        from = rest.map_or(bytes.len(), |len| zeroes + len);
    }
    found
}

fn block(bytes: &[u8]) -> Option<Vec<u8>> {
    let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let (len, events) = (number(0), number(8));
    if !(1..BLOCK_MAX).contains(&len) || !(1..=BLOCK_EVENTS_MAX).contains(&events) {
        return None;
    }
    // Where it ends is not known: it is full before the input ends, and right up to there.
    let mut unpacked = vec![0; len as usize];
    drop(lz4_flex::block::decompress_into(&bytes[BLOCK_HEAD..], &mut unpacked));
    Some(unpacked)
}
