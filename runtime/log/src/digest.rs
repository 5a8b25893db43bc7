//! The SHA-256 of what a file holds.

use std::io::{ErrorKind, Read, Result};

use sha2::{Digest, Sha256};

/// How much is read at a time.
const PIECE: usize = 256 * 1024;

/// Reads to the end; answers the hash of it all, and how many bytes that was.
pub(crate) fn sha256_of(mut from: impl Read) -> Result<([u8; 32], u64)> {
    let (mut hash, mut piece, mut len) = (Sha256::new(), vec![0; PIECE], 0);
    loop {
        match from.read(&mut piece) {
            Ok(0) => return Ok((hash.finalize().into(), len)),
            Ok(read) => {
                hash.update(piece.get(..read).unwrap_or_default());
                len += read as u64;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
