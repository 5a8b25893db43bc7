//! Keys in one file, to be kept apart from copies of the log, and back.
//!
//! A copy of an erased key would undo the erasure. So a backup says when it was made and until when it may be restored,
//! a key that the log names as erased is never taken back, and whoever made backups on this machine finds them listed
//! beside the keys: those that have expired are destroyed where they still lie.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use tidewire_model::event::StreamName;
use tidewire_model::event::time::format_rfc3339;
use zeroize::{Zeroize, Zeroizing};

use super::{Keys, Wrapped, key_file, parse_secret, read_wrapped, unwrap, wrap};
use crate::hex::to_hex;
use crate::private_file::PrivateFile;

const FORMAT: &str = "tidewire-keys-2";

/// How many days a backup of keys may be restored, unless something else is said, and at most.
pub const KEY_BACKUP_DAYS: u32 = 30;
/// See [`KEY_BACKUP_DAYS`].
pub const KEY_BACKUP_DAYS_MAX: u32 = 366;

/// A backup of keys, as it lies in its file. Whoever has it can read everything that is encrypted with these keys.
#[derive(Serialize, Deserialize)]
pub struct KeyBackup {
    format: String,
    /// When it was made, in milliseconds since 1970.
    pub created: i64,
    /// From when on it is not restored any more.
    pub expires: i64,
    node: Option<String>,
    keys: Vec<Wrapped>,
    others: Vec<Other>,
}

/// A small secret file that is nobody's business here.
#[derive(Serialize, Deserialize)]
struct Other {
    /// Its place in the data folder.
    name: String,
    text: String,
}

impl Drop for KeyBackup {
    fn drop(&mut self) {
        self.node.zeroize();
        self.others.iter_mut().for_each(|other| other.text.zeroize());
    }
}

/// A backup of keys that was made here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownKeyBackup {
    /// Where it was written.
    pub file: PathBuf,
    /// When, in milliseconds since 1970.
    pub created: i64,
    /// From when on it is not restored any more.
    pub expires: i64,
    /// How many keys of streams it holds.
    pub keys: u64,
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
    /// Writes all keys of a folder, and more secret files with their places in the data folder, to a file that only its
    /// owner may read. It may be restored for some days from `now`. `None`: there is nothing.
    ///
    /// # Errors
    /// A text that says which file cannot be read or written.
    pub fn write(
        keys: &Path,
        others: &[(&str, PathBuf)],
        to: &Path,
        (now, days): (i64, u32),
    ) -> Result<Option<KnownKeyBackup>, String> {
        if !(1..=KEY_BACKUP_DAYS_MAX).contains(&days) {
            return Err(format!("a backup of keys cannot be kept for {days} days; use 1 to {KEY_BACKUP_DAYS_MAX}"));
        }
        let node = PrivateFile::new(keys.join("node.key"));
        let secret = match node.read().map_err(|error| error.to_string())? {
            Some(text) => {
                Some(parse_secret(&text).ok_or_else(|| node.damaged("a key has 64 hexadecimal digits").to_string())?)
            }
            None => None,
        };
        let others = others.iter().filter_map(|(name, path)| read_other(name, path).transpose());
        let backup = Self {
            format: FORMAT.to_owned(),
            created: now,
            expires: now.saturating_add(i64::from(days) * 86_400_000),
            keys: if secret.is_some() { all_keys(keys)? } else { Vec::new() },
            node: secret.map(|secret| to_hex(&*secret)),
            others: others.collect::<Result<_, _>>()?,
        };
        if backup.node.is_none() && backup.others.is_empty() {
            return Ok(None);
        }
        let text = serde_json::to_vec(&backup).map(Zeroizing::new).map_err(|error| error.to_string())?;
        PrivateFile::new(to).write(&text).map_err(|error| error.to_string())?;
        let file = std::path::absolute(to).unwrap_or_else(|_| to.to_owned());
        let count = backup.keys.len() as u64;
        let known = KnownKeyBackup { file, created: now, expires: backup.expires, keys: count };
        let mut list = known_key_backups(keys)?;
        list.retain(|other| other.file != known.file);
        list.push(known.clone());
        write_known(keys, &list)?;
        Ok(Some(known))
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

    /// How many keys of streams it holds.
    #[must_use]
    pub const fn keys(&self) -> usize {
        self.keys.len()
    }

    /// # Errors
    /// It has expired; the text says when, and what to do.
    pub fn still_valid(&self, now: i64) -> Result<(), String> {
        if now < self.expires {
            return Ok(());
        }
        Err(format!(
            "this backup of keys was made at {} and expired at {}: it may hold keys that were erased since, so it is not \
             restored; use a newer one and destroy this one",
            format_rfc3339(self.created),
            format_rfc3339(self.expires)
        ))
    }

    /// Puts the other secret files back into a data folder; what lies there already stays. Answers their places.
    ///
    /// # Errors
    /// When a file cannot be read or written.
    pub fn restore_others(&self, data: &Path) -> Result<Vec<String>, String> {
        let mut restored = Vec::new();
        for other in &self.others {
            let inside =
                Path::new(&other.name).components().all(|part| matches!(part, std::path::Component::Normal(_)));
            let file = PrivateFile::new(data.join(&other.name));
            if inside && file.read().map_err(|error| error.to_string())?.is_none() {
                file.write(other.text.as_bytes()).map_err(|error| error.to_string())?;
                restored.push(other.name.clone());
            }
        }
        Ok(restored)
    }
}

fn read_other(name: &str, path: &Path) -> Result<Option<Other>, String> {
    let file = PrivateFile::new(path);
    let Some(text) = file.read().map_err(|error| error.to_string())? else { return Ok(None) };
    let text = String::from_utf8(text).map_err(|_| file.damaged("it is no text").to_string())?;
    Ok(Some(Other { name: name.to_owned(), text }))
}

fn known_file(keys: &Path) -> PrivateFile {
    PrivateFile::new(keys.join("backups.json"))
}

fn write_known(keys: &Path, list: &[KnownKeyBackup]) -> Result<(), String> {
    let text = serde_json::to_vec_pretty(list).map_err(|error| error.to_string())?;
    known_file(keys).write(&text).map_err(|error| error.to_string())
}

/// The backups of keys that were made here and have not expired, or could not be destroyed.
///
/// # Errors
/// When the list of them cannot be read.
pub fn known_key_backups(keys: &Path) -> Result<Vec<KnownKeyBackup>, String> {
    let file = known_file(keys);
    let Some(text) = file.read().map_err(|error| error.to_string())? else { return Ok(Vec::new()) };
    serde_json::from_slice(&text).map_err(|error| file.damaged(error).to_string())
}

/// Destroys backups of keys that were made here and have expired, where they still lie. Answers where.
///
/// # Errors
/// When files cannot be read or destroyed.
pub fn destroy_expired_key_backups(keys: &Path, now: i64) -> Result<Vec<PathBuf>, String> {
    let (expired, kept): (Vec<_>, Vec<_>) = known_key_backups(keys)?.into_iter().partition(|one| one.expires <= now);
    let mut destroyed = Vec::new();
    for known in &expired {
        // Something else may lie there by now, or nothing.
        if KeyBackup::read(&known.file).is_ok_and(|backup| backup.created == known.created) {
            PrivateFile::new(&known.file).destroy().map_err(|error| error.to_string())?;
            destroyed.push(known.file.clone());
        }
    }
    if !expired.is_empty() {
        write_known(keys, &kept)?;
    }
    Ok(destroyed)
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
/// When the backup has expired, or when files cannot be written; what is written already stays.
pub fn restore_keys(
    backup: &KeyBackup,
    keys: &Path,
    erased: &HashSet<CompactString>,
    now: i64,
) -> Result<KeysRestored, String> {
    backup.still_valid(now)?;
    let mut restored = KeysRestored::default();
    let Some(node_text) = &backup.node else { return Ok(restored) };
    let old_node = parse_secret(node_text.as_bytes()).ok_or("this backup of keys is damaged: it has no node key")?;
    let node_file = PrivateFile::new(keys.join("node.key"));
    if node_file.read().map_err(|error| error.to_string())?.is_none() {
        node_file.write(node_text.as_bytes()).map_err(|error| error.to_string())?;
    }
    let folder = Keys::new(Some(keys.to_owned()));
    let node = folder.state.lock().node(keys)?;
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
