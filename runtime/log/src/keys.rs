//! Keys of streams with personal data: one per stream, wrapped by a key of this installation, in files that only their
//! owner may read.
//!
//! They lie apart from the log, so that a copy of the log alone tells nothing, and a key that is destroyed is gone. What
//! is encrypted with them is the business of `seal`.

mod backup;
mod lasting;
mod seal;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use compact_str::CompactString;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tidewire_model::event::StreamName;
use zeroize::Zeroizing;

use crate::hex::{array_from_hex, from_hex, to_hex};
use crate::private_file::PrivateFile;
use lasting::Lasting;

pub use backup::{
    KEY_BACKUP_DAYS, KEY_BACKUP_DAYS_MAX, KeyBackup, KeysRestored, KnownKeyBackup, destroy_expired_key_backups,
    known_key_backups, restore_keys,
};
pub(crate) use seal::{open, open_bytes, seal, seal_bytes};

/// So many keys stay in memory when they are in files as well.
const KEYS_MAX: usize = 10_000;
const WRAP: &str = "tidewire.key.1";

type Secret = Zeroizing<[u8; 32]>;

/// The key of one stream.
pub(crate) struct DataKey {
    pub(crate) id: CompactString,
    secret: Secret,
}

/// What became of a key.
pub(crate) enum Found {
    Key(Arc<DataKey>),
    Erased,
    /// It should be there and is not; the text says why.
    Missing(String),
}

/// The keys of a log: in a folder, or in memory when there is none.
pub(crate) struct Keys {
    folder: Option<PathBuf>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    node: Option<Secret>,
    by_stream: HashMap<StreamName, Arc<DataKey>>,
    erased: HashSet<CompactString>,
    lasting: Lasting,
}

/// A key as it lies in its file.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Wrapped {
    version: u32,
    id: CompactString,
    stream: CompactString,
    /// When it was made, in milliseconds since 1970.
    created: i64,
    nonce: String,
    key: String,
}

impl Keys {
    /// The keys in a folder; makes nothing before it is needed.
    pub(crate) fn new(folder: Option<PathBuf>) -> Self {
        Self { folder, state: Mutex::default() }
    }

    /// Whether there is any key.
    pub(crate) fn are_used(&self) -> bool {
        self.folder
            .as_ref()
            .map_or_else(|| !self.state.lock().by_stream.is_empty(), |folder| folder.join("data").exists())
    }

    /// The id of a stream's key, if it has one.
    pub(crate) fn id_of(&self, stream: &StreamName) -> Result<Option<CompactString>, String> {
        if let Some(key) = self.state.lock().by_stream.get(stream) {
            return Ok(Some(key.id.clone()));
        }
        let Some(folder) = &self.folder else { return Ok(None) };
        Ok(read_wrapped(&key_file(folder, stream))?.map(|wrapped| wrapped.id))
    }

    /// A stream's key, if it is in memory.
    pub(crate) fn at_hand(&self, stream: &StreamName) -> Option<Arc<DataKey>> {
        self.state.lock().by_stream.get(stream).cloned()
    }

    /// The key for what is appended to a stream now; made, and on disk, when there is none.
    pub(crate) fn current(&self, stream: &StreamName, now: i64) -> Result<Arc<DataKey>, String> {
        let mut state = self.state.lock();
        if let Some(key) = state.by_stream.get(stream) {
            // What is appended while its stream is being erased is erased with it.
            return Ok(Arc::clone(key));
        }
        let key = match &self.folder {
            None => Arc::new(DataKey { id: new_id(), secret: random()? }),
            Some(folder) => {
                let file = key_file(folder, stream);
                let node = state.node(folder)?;
                let key = match read_wrapped(&file)? {
                    Some(wrapped) if state.erased.contains(&wrapped.id) => {
                        return Err(format!("stream '{stream}' is just being erased; try again"));
                    }
                    Some(wrapped) => unwrap(&wrapped, &node, &file)?,
                    None => {
                        let key = DataKey { id: new_id(), secret: random()? };
                        let wrapped = wrap(&key, stream, &node, now)?;
                        let text = serde_json::to_vec(&wrapped).map_err(|error| error.to_string())?;
                        state.lasting.write(folder, &file, &text)?;
                        key
                    }
                };
                state.lasting.ensure(folder, &file)?;
                Arc::new(key)
            }
        };
        state.remember(stream, &key, self.folder.is_some());
        Ok(key)
    }

    /// The key with an id that was a stream's.
    pub(crate) fn find(&self, stream: &StreamName, id: &str) -> Found {
        let mut state = self.state.lock();
        if state.erased.contains(id) {
            return Found::Erased;
        }
        if let Some(key) = state.by_stream.get(stream).filter(|key| key.id == id) {
            return Found::Key(Arc::clone(key));
        }
        let missing = || format!("its key {id} is missing; restore it from a backup of the keys");
        let Some(folder) = &self.folder else { return Found::Missing(missing()) };
        let file = key_file(folder, stream);
        let found = read_wrapped(&file).and_then(|wrapped| match wrapped.filter(|wrapped| wrapped.id == id) {
            Some(wrapped) => unwrap(&wrapped, &state.node(folder)?, &file),
            None => Err(missing()),
        });
        match found {
            Ok(key) => {
                let key = Arc::new(key);
                state.remember(stream, &key, true);
                Found::Key(key)
            }
            Err(reason) => Found::Missing(reason),
        }
    }

    /// Forgets a key for good: from memory, then from the disk.
    pub(crate) fn erase(&self, id: &str, stream: &StreamName) -> Result<(), String> {
        let mut state = self.state.lock();
        state.erased.insert(id.into());
        if state.by_stream.get(stream).is_some_and(|key| key.id == id) {
            state.by_stream.remove(stream);
        }
        let Some(folder) = &self.folder else { return Ok(()) };
        let file = key_file(folder, stream);
        // A file that cannot be read is left alone, but one that the log says is erased must not be.
        match read_wrapped(&file) {
            Ok(Some(wrapped)) if wrapped.id == id => file.destroy().map_err(|error| error.to_string()),
            Ok(_) => Ok(()),
            // As a power cut leaves it while it is being destroyed.
            Err(_) if file.is_half_destroyed() => file.destroy().map_err(|error| error.to_string()),
            Err(reason) => Err(reason),
        }
    }

    /// Takes back that a key is erased: the erasure did not happen.
    pub(crate) fn spare(&self, id: &str) {
        self.state.lock().erased.remove(id);
    }

    /// Refuses to use a key from now on.
    pub(crate) fn withhold(&self, id: &str) {
        self.state.lock().erased.insert(id.into());
    }
}

impl State {
    /// The key that wraps all others; made on first use.
    fn node(&mut self, folder: &Path) -> Result<Secret, String> {
        if let Some(node) = &self.node {
            return Ok(node.clone());
        }
        let file = PrivateFile::new(folder.join("node.key"));
        let node = match file.read().map_err(|error| error.to_string())? {
            Some(text) => {
                parse_secret(&text).ok_or_else(|| file.damaged("a key has 64 hexadecimal digits").to_string())?
            }
            // A new one would lock out what is there.
            None if folder.join("data").exists() => {
                return Err(format!(
                    "the key {} is missing, which all others are wrapped with; restore it from a backup of the keys",
                    file.path().display()
                ));
            }
            None => {
                let node = random()?;
                let text = Zeroizing::new(to_hex(&*node));
                file.write(text.as_bytes()).map_err(|error| error.to_string())?;
                node
            }
        };
        self.node = Some(node.clone());
        Ok(node)
    }

    fn remember(&mut self, stream: &StreamName, key: &Arc<DataKey>, in_files: bool) {
        if in_files && self.by_stream.len() >= KEYS_MAX {
            self.by_stream.clear();
        }
        self.by_stream.insert(stream.clone(), Arc::clone(key));
    }
}

fn new_id() -> CompactString {
    CompactString::from(ulid::Ulid::new().to_string())
}

fn random() -> Result<Secret, String> {
    let mut secret = Zeroizing::new([0; 32]);
    getrandom::fill(secret.as_mut()).map_err(|error| format!("no random numbers: {error}"))?;
    Ok(secret)
}

fn parse_secret(text: &[u8]) -> Option<Secret> {
    array_from_hex(std::str::from_utf8(text).ok()?.trim()).map(Zeroizing::new)
}

/// The file of a stream's key. Its name tells nothing of the stream's.
fn key_file(folder: &Path, stream: &StreamName) -> PrivateFile {
    let name = to_hex(Sha256::digest(stream.as_str()).get(..16).unwrap_or_default());
    PrivateFile::new(folder.join("data").join(name.get(..2).unwrap_or_default()).join(&name))
}

fn read_wrapped(file: &PrivateFile) -> Result<Option<Wrapped>, String> {
    let Some(text) = file.read().map_err(|error| error.to_string())? else { return Ok(None) };
    serde_json::from_slice(&text).map(Some).map_err(|error| file.damaged(error).to_string())
}

fn wrap_context(id: &str, stream: &str) -> Vec<u8> {
    [WRAP, id, stream].join("\n").into_bytes()
}

fn wrap(key: &DataKey, stream: &StreamName, node: &Secret, now: i64) -> Result<Wrapped, String> {
    let mut nonce = [0; 24];
    getrandom::fill(&mut nonce).map_err(|error| format!("no random numbers: {error}"))?;
    let context = wrap_context(&key.id, stream.as_str());
    let wrapped = XChaCha20Poly1305::new(&Key::from(**node))
        .encrypt(&XNonce::from(nonce), Payload { msg: &*key.secret, aad: &context })
        .map_err(|_| "a key cannot be wrapped".to_owned())?;
    Ok(Wrapped {
        version: 1,
        id: key.id.clone(),
        stream: stream.as_str().into(),
        created: now,
        nonce: to_hex(&nonce),
        key: to_hex(&wrapped),
    })
}

fn unwrap(wrapped: &Wrapped, node: &Secret, file: &PrivateFile) -> Result<DataKey, String> {
    let parts = || Some((array_from_hex::<24>(&wrapped.nonce)?, from_hex(&wrapped.key)?));
    let (nonce, sealed) = parts().ok_or_else(|| file.damaged("it is not what was written").to_string())?;
    let context = wrap_context(&wrapped.id, &wrapped.stream);
    let plain = XChaCha20Poly1305::new(&Key::from(**node))
        .decrypt(&XNonce::from(nonce), Payload { msg: &sealed, aad: &context })
        .map(Zeroizing::new)
        .map_err(|_| file.damaged("it was wrapped with another key than node.key").to_string())?;
    let secret = plain.as_slice().try_into().map_err(|_| file.damaged("it is no key").to_string())?;
    Ok(DataKey { id: wrapped.id.clone(), secret: Zeroizing::new(secret) })
}

#[cfg(test)]
mod tests;
