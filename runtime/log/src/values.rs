//! Values of any size in the store: small ones as they are, large ones as a chain of pieces.
//!
//! A value is stored with its whole key, because a long key is shortened to its first bytes and a hash. Among
//! keys that share those first bytes the order is that of the hash.

use std::ops::Bound;

use bytes::Bytes;
use compact_str::CompactString;
use sha2::{Digest, Sha256};

use crate::LogError;
use crate::store::{Batch, Slice, Space, Store};

/// The longest key that is stored as it is.
const PLAIN_KEY_MAX: usize = 150;
/// What is left of the beginning of a key that is shortened.
pub(crate) const SHORTENED_START: usize = 120;
const HASH: usize = 16;
const PIECE: usize = 6 * 1024;
const INLINE: u8 = 0;
const PIECES: u8 = 1;

/// The bytes that stand for a name of any length in a store key. Names hold no control characters, hence no 1.
pub(crate) fn short_key(name: &str) -> Vec<u8> {
    let bytes = name.as_bytes();
    if bytes.len() <= PLAIN_KEY_MAX {
        return bytes.to_vec();
    }
    let mut key = bytes.get(..SHORTENED_START).unwrap_or(bytes).to_vec();
    key.push(1);
    key.extend_from_slice(Sha256::digest(bytes).get(..HASH).unwrap_or_default());
    key
}

/// Whether [`short_key`] made these bytes of a longer name.
pub(crate) fn is_shortened(key: &[u8]) -> bool {
    key.len() == SHORTENED_START + 1 + HASH && key.get(SHORTENED_START) == Some(&1)
}

/// A map from keys to values within a space, told apart from others by its name.
pub(crate) struct Values<'a> {
    store: &'a Store,
    space: Space,
    heads: Vec<u8>,
    pieces: Vec<u8>,
}

impl<'a> Values<'a> {
    /// The map with a name.
    pub(crate) fn new(store: &'a Store, space: Space, name: &str) -> Self {
        let prefix = |kind: u8| {
            let mut prefix = vec![kind];
            prefix.extend_from_slice(&short_key(name));
            prefix.push(0);
            prefix
        };
        Self { store, space, heads: prefix(b'v'), pieces: prefix(b'w') }
    }

    fn head_key(&self, short: &[u8]) -> Vec<u8> {
        [self.heads.as_slice(), short].concat()
    }

    fn piece_key(&self, short: &[u8], index: u32) -> Vec<u8> {
        [self.pieces.as_slice(), short, &[0], &index.to_be_bytes()].concat()
    }

    /// Adds a change to a batch. A key may be changed once per batch.
    pub(crate) fn change(&self, batch: &mut Batch, key: &str, value: Option<&[u8]>) -> Result<(), LogError> {
        let short = short_key(key);
        let head_key = self.head_key(&short);
        let pieces_before = match self.store.get(self.space, &head_key)? {
            Some(before) => Head::parse(&before).map_or(0, |head| head.pieces),
            None => 0,
        };
        let mut pieces = 0;
        match value {
            None => batch.remove(&head_key),
            Some(value) if key.len() + value.len() <= PIECE => {
                batch.put(&head_key, &[&[INLINE], &key_len(key)[..], key.as_bytes(), value].concat());
            }
            Some(value) => {
                for piece in value.chunks(PIECE) {
                    batch.put(&self.piece_key(&short, pieces), piece);
                    pieces += 1;
                }
                batch.put(&head_key, &[&[PIECES], &key_len(key)[..], key.as_bytes(), &pieces.to_le_bytes()].concat());
            }
        }
        for index in pieces..pieces_before {
            batch.remove(&self.piece_key(&short, index));
        }
        Ok(())
    }

    /// The value of a key.
    pub(crate) fn get(&self, key: &str) -> Result<Option<Bytes>, LogError> {
        let short = short_key(key);
        match self.store.get(self.space, &self.head_key(&short))? {
            Some(stored) => self.read(&short, &stored).map(Some),
            None => Ok(None),
        }
    }

    fn read(&self, short: &[u8], stored: &Slice) -> Result<Bytes, LogError> {
        let damaged = || LogError::Store("a value is incomplete".to_owned());
        let head = Head::parse(stored).ok_or_else(damaged)?;
        if head.pieces == 0 {
            return Ok(Bytes::copy_from_slice(head.value));
        }
        let mut value = Vec::new();
        for index in 0..head.pieces {
            value.extend_from_slice(&self.store.get(self.space, &self.piece_key(short, index))?.ok_or_else(damaged)?);
        }
        Ok(Bytes::from(value))
    }

    /// Keys and values in order: those that begin with `prefix`, after `after`, at most `limit`.
    pub(crate) fn scan(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(CompactString, Bytes)>, LogError> {
        let start = prefix.as_bytes();
        let start = self.head_key(start.get(..start.len().min(SHORTENED_START)).unwrap_or(start));
        let after = after.map(|after| self.head_key(&short_key(after))).filter(|after| *after >= start);
        let from = after.as_deref().map_or(Bound::Included(start.as_slice()), Bound::Excluded);
        let mut found = Vec::new();
        for item in self.store.range(self.space, from, Bound::Unbounded) {
            let (stored_key, stored) = item?;
            if found.len() == limit || !stored_key.starts_with(&start) {
                break;
            }
            let Some(head) = Head::parse(&stored) else { continue };
            if !head.key.starts_with(prefix) {
                continue;
            }
            let short = stored_key.get(self.heads.len()..).unwrap_or_default();
            found.push((CompactString::from(head.key), self.read(short, &stored)?));
        }
        Ok(found)
    }

    /// Removes everything, in steps. Callers make sure beforehand that nobody takes the rest for whole.
    pub(crate) fn clear(&self) -> Result<(), LogError> {
        for prefix in [&self.heads, &self.pieces] {
            loop {
                let mut batch = Batch::default();
                for item in self.store.prefix(self.space, prefix).take(512) {
                    batch.remove(&item?.0);
                }
                if batch.is_empty() {
                    break;
                }
                self.store.apply(self.space, batch)?;
            }
        }
        Ok(())
    }
}

fn key_len(key: &str) -> [u8; 4] {
    u32::try_from(key.len()).unwrap_or(u32::MAX).to_le_bytes()
}

struct Head<'a> {
    key: &'a str,
    value: &'a [u8],
    pieces: u32,
}

impl<'a> Head<'a> {
    fn parse(stored: &'a [u8]) -> Option<Self> {
        let (kind, rest) = stored.split_first()?;
        let (len, rest) = rest.split_first_chunk::<4>()?;
        let (key, value) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*len)).ok()?)?;
        let pieces = if *kind == PIECES { u32::from_le_bytes(*value.first_chunk()?) } else { 0 };
        Some(Self { key: std::str::from_utf8(key).ok()?, value, pieces })
    }
}
