//! Keys in one file, to be kept apart from copies of the log, and back.
//!
//! A copy of an erased key would undo the erasure. So a backup says when it was made and expires, and a key that the log
//! names as erased is never taken back.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use tidewire_model::event::StreamName;
use zeroize::{Zeroize, Zeroizing};

use super::{Keys, Wrapped, key_file, parse_secret, read_wrapped, unwrap, wrap};
use crate::hex::to_hex;
use crate::private_file::PrivateFile;

const FORMAT: &str = "tidewire-keys-1";

/// A backup of keys, as it lies in its file. Whoever has it can read everything that is encrypted with these keys.
#[derive(Serialize, Deserialize)]
pub struct KeyBackup {
    format: String,
    /// When it was made, in milliseconds since 1970.
    pub created: i64,
    node: String,
    keys: Vec<Wrapped>,
}

impl Drop for KeyBackup {
    fn drop(&mut self) {
        self.node.zeroize();
    }
}

/// What came back from a backup of keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeysRestored {
    /// How many keys are there again.
    pub restored: u64,
    /// How many had been there all along.
    pub known: u64,
    /// How many were left out because they are erased.
    pub erased: u64,
}

impl KeyBackup {
    /// Writes all keys of a folder to a file that only its owner may read; answers how many. `None`: there are none.
    ///
    /// # Errors
    /// A text that says which file cannot be read or written.
    pub fn write(keys: &Path, to: &Path, now: i64) -> Result<Option<u64>, String> {
        let node = PrivateFile::new(keys.join("node.key"));
        let Some(text) = node.read().map_err(|error| error.to_string())? else { return Ok(None) };
        let secret = parse_secret(&text).ok_or_else(|| node.damaged("a key has 64 hexadecimal digits").to_string())?;
        let backup = Self { format: FORMAT.to_owned(), created: now, node: to_hex(&*secret), keys: all_keys(keys)? };
        let text = serde_json::to_vec(&backup).map(Zeroizing::new).map_err(|error| error.to_string())?;
        PrivateFile::new(to).write(&text).map_err(|error| error.to_string())?;
        Ok(Some(backup.keys.len() as u64))
    }

    /// Reads a backup.
    ///
    /// # Errors
    /// A text that says what is wrong with the file.
    pub fn read(from: &Path) -> Result<Self, String> {
        let file = PrivateFile::new(from);
        let text = file.read().map_err(|error| error.to_string())?.map(Zeroizing::new);
        let text = text.ok_or_else(|| format!("there is no backup of keys in {}", from.display()))?;
        let backup: Self = serde_json::from_slice(&text).map_err(|error| file.damaged(error).to_string())?;
        if backup.format != FORMAT {
            return Err(file.damaged(format!("it is a '{}', not a '{FORMAT}'", backup.format)).to_string());
        }
        Ok(backup)
    }
}

fn all_keys(keys: &Path) -> Result<Vec<Wrapped>, String> {
    let folder = keys.join("data");
    let failed = |error: std::io::Error| format!("cannot list the keys in {}: {error}", folder.display());
    let mut found = Vec::new();
    let list = |folder: &Path| match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    };
    for inner in list(&folder).map_err(failed)? {
        for path in list(&inner).map_err(failed)? {
            // What a crash left half written has an extension.
            if path.extension().is_none() {
                found.extend(read_wrapped(&PrivateFile::new(path))?);
            }
        }
    }
    Ok(found)
}

/// Puts the keys of a backup back into a folder, but for those that are erased. No log may use the folder meanwhile.
///
/// # Errors
/// When the backup is older than `age_max_ms`, or when files cannot be written; what is written already stays.
pub fn restore_keys(
    backup: &KeyBackup,
    keys: &Path,
    erased: &HashSet<CompactString>,
    (now, age_max_ms): (i64, i64),
) -> Result<KeysRestored, String> {
    let age = now.saturating_sub(backup.created);
    if age > age_max_ms {
        return Err(format!(
            "this backup of keys is {} days old and expired after {}: it may hold keys that were erased since; use a newer one",
            age / 86_400_000,
            age_max_ms / 86_400_000
        ));
    }
    let old_node = parse_secret(backup.node.as_bytes()).ok_or("this backup of keys is damaged: it has no node key")?;
    let node_file = PrivateFile::new(keys.join("node.key"));
    if node_file.read().map_err(|error| error.to_string())?.is_none() {
        node_file.write(backup.node.as_bytes()).map_err(|error| error.to_string())?;
    }
    let folder = Keys::new(Some(keys.to_owned()));
    let node = folder.state.lock().node(keys)?;
    let mut restored = KeysRestored::default();
    for wrapped in &backup.keys {
        if erased.contains(&wrapped.id) {
            restored.erased += 1;
            continue;
        }
        let stream = StreamName::reserved(wrapped.stream.clone()).map_err(|error| error.to_string())?;
        let file = key_file(keys, &stream);
        if read_wrapped(&file)?.is_some() {
            restored.known += 1;
            continue;
        }
        let again = wrap(&unwrap(wrapped, &old_node, &file)?, &stream, &node, wrapped.created)?;
        let text = serde_json::to_vec(&again).map_err(|error| error.to_string())?;
        file.write(&text).map_err(|error| error.to_string())?;
        restored.restored += 1;
    }
    Ok(restored)
}
