//! Secrets of nodes: encrypted in a file of their own, never in a flow document, never given out again.
//!
//! XChaCha20-Poly1305 over the whole set, with a key that is made on the first start and kept beside it in a file that
//! only the owner may read. A backup without the key file is useless, on purpose.

mod document;

use std::collections::BTreeMap;
use std::path::Path;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use tidewire_engine::Credentials;
use zeroize::Zeroizing;

use tidewire_log::private_file::{PrivateFile, PrivateFileError};

pub use document::{extract, is_secret};

/// Secrets that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    #[error(transparent)]
    File(#[from] PrivateFileError),
    #[error("{} does not fit the key in {}; restore the two files from the same backup", file.display(), key.display())]
    WrongKey { file: std::path::PathBuf, key: std::path::PathBuf },
    #[error("the secrets cannot be encrypted")]
    Encrypt,
}

/// Secrets of one node by name.
pub type NodeSecrets = BTreeMap<String, Zeroizing<String>>;
type All = BTreeMap<String, NodeSecrets>;

/// What a deploy does to the secrets of one node.
#[derive(Debug, Clone, Default)]
pub struct SecretChange {
    /// New values; an empty one removes the secret.
    pub set: BTreeMap<String, Zeroizing<String>>,
    /// Names that are not in `set` are removed.
    pub whole: bool,
}

#[derive(Serialize, Deserialize)]
struct Sealed {
    version: u32,
    nonce: String,
    data: String,
}

/// The store.
pub struct Secrets {
    file: PrivateFile,
    key_path: std::path::PathBuf,
    cipher: XChaCha20Poly1305,
    all: RwLock<All>,
}

/// Where the key is, in a data folder.
pub const KEY: &str = "secrets/key";
/// Where what it encrypts is.
pub const CREDENTIALS: &str = "secrets/credentials";

const AAD: &[u8] = b"tidewire.secrets.1";

impl Secrets {
    /// # Errors
    /// When key or file are there and cannot be used.
    pub fn open(data_dir: &Path) -> Result<Secrets, SecretsError> {
        let key_file = PrivateFile::new(data_dir.join(KEY));
        let file = PrivateFile::new(data_dir.join(CREDENTIALS));
        let stored = file.read()?;
        let key = match key_file.read()? {
            Some(text) => read_key(&text).ok_or_else(|| key_file.damaged("a key has 64 hexadecimal digits"))?,
            // Making a new key would lock out what is stored.
            None if stored.is_some() => {
                return Err(SecretsError::WrongKey { file: file.path().into(), key: key_file.path().into() });
            }
            None => {
                let mut key = Zeroizing::new([0u8; 32]);
                getrandom::fill(key.as_mut()).map_err(|_| SecretsError::Encrypt)?;
                let text: Zeroizing<String> = Zeroizing::new(key.iter().map(|byte| format!("{byte:02x}")).collect());
                key_file.write(text.as_bytes())?;
                key
            }
        };
        let cipher = XChaCha20Poly1305::new(&Key::from(*key));
        let secrets = Secrets { key_path: key_file.path().into(), file, cipher, all: RwLock::new(All::new()) };
        if let Some(bytes) = stored {
            *secrets.all.write() = secrets.unseal(&bytes)?;
        }
        Ok(secrets)
    }

    fn unseal(&self, bytes: &[u8]) -> Result<All, SecretsError> {
        let damaged = |reason: &str| SecretsError::File(self.file.damaged(reason));
        let sealed: Sealed = serde_json::from_slice(bytes).map_err(|_| damaged("it is not what was written"))?;
        let nonce = decode(&sealed.nonce).and_then(|nonce| <[u8; 24]>::try_from(nonce).ok());
        let nonce = nonce.ok_or_else(|| damaged("the nonce is missing"))?;
        let data = decode(&sealed.data).ok_or_else(|| damaged("the data is not base64"))?;
        let wrong = |_| SecretsError::WrongKey { file: self.file.path().into(), key: self.key_path.clone() };
        let plain = self.cipher.decrypt(&XNonce::from(nonce), Payload { msg: &data, aad: AAD }).map_err(wrong)?;
        let plain = Zeroizing::new(plain);
        let map: BTreeMap<String, BTreeMap<String, String>> =
            serde_json::from_slice(&plain).map_err(|_| damaged("the contents do not parse"))?;
        let secret = |(name, value): (String, String)| (name, Zeroizing::new(value));
        Ok(map.into_iter().map(|(node, values)| (node, values.into_iter().map(secret).collect())).collect())
    }

    fn seal(&self, all: &All) -> Result<Vec<u8>, SecretsError> {
        let map: BTreeMap<&str, BTreeMap<&str, &str>> = all
            .iter()
            .map(|(node, values)| {
                (node.as_str(), values.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect())
            })
            .collect();
        let plain = Zeroizing::new(serde_json::to_vec(&map).map_err(|_| SecretsError::Encrypt)?);
        let mut nonce = [0u8; 24];
        getrandom::fill(&mut nonce).map_err(|_| SecretsError::Encrypt)?;
        let data = self
            .cipher
            .encrypt(&XNonce::from(nonce), Payload { msg: &plain, aad: AAD })
            .map_err(|_| SecretsError::Encrypt)?;
        let sealed = Sealed { version: 1, nonce: encode(&nonce), data: encode(&data) };
        serde_json::to_vec(&sealed).map_err(|_| SecretsError::Encrypt)
    }

    /// The secrets as they are, to be put back with [`Secrets::restore`] when a deploy fails.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot(self.all.read().clone())
    }

    /// # Errors
    /// When the file cannot be written.
    pub fn restore(&self, snapshot: Snapshot) -> Result<(), SecretsError> {
        self.replace(snapshot.0)
    }

    fn replace(&self, next: All) -> Result<(), SecretsError> {
        let mut all = self.all.write();
        if *all == next {
            return Ok(());
        }
        self.file.write(&self.seal(&next)?)?;
        *all = next;
        Ok(())
    }

    /// Applies changes and forgets nodes that `keep` does not know; answers the nodes whose secrets changed.
    ///
    /// # Errors
    /// When the file cannot be written; nothing has changed then.
    pub fn apply(
        &self,
        changes: BTreeMap<String, SecretChange>,
        keep: impl Fn(&str) -> bool,
    ) -> Result<Vec<String>, SecretsError> {
        let before = self.all.read().clone();
        let mut next = before.clone();
        for (node, change) in changes {
            let values = next.entry(node).or_default();
            if change.whole {
                values.retain(|name, _| change.set.contains_key(name));
            }
            for (name, value) in change.set {
                if value.is_empty() { drop(values.remove(&name)) } else { drop(values.insert(name, value)) }
            }
        }
        next.retain(|node, values| !values.is_empty() && keep(node));
        let touched = next
            .keys()
            .chain(before.keys())
            .filter(|node| next.get(*node) != before.get(*node))
            .cloned()
            .collect::<std::collections::BTreeSet<_>>();
        self.replace(next)?;
        Ok(touched.into_iter().collect())
    }

    /// Names of a node's secrets, and their values for those that `plain` says may be shown, such as a user name.
    pub fn shown(&self, node: &str, plain: impl Fn(&str) -> bool) -> Vec<(String, Option<String>)> {
        let all = self.all.read();
        let values = all.get(node).into_iter().flatten();
        values.map(|(name, value)| (name.clone(), plain(name).then(|| value.to_string()))).collect()
    }
}

impl Credentials for Secrets {
    fn get(&self, node: &str, key: &str) -> Option<String> {
        self.all.read().get(node)?.get(key).map(|value| value.to_string())
    }
}

/// Secrets of a moment.
pub struct Snapshot(All);

fn read_key(text: &[u8]) -> Option<Zeroizing<[u8; 32]>> {
    let text = std::str::from_utf8(text).ok()?.trim();
    let mut key = Zeroizing::new([0u8; 32]);
    if text.len() != 64 {
        return None;
    }
    for (index, byte) in key.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(index * 2..index * 2 + 2)?, 16).ok()?;
    }
    Some(key)
}

fn encode(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn decode(text: &str) -> Option<Vec<u8>> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn change(pairs: &[(&str, &str)]) -> SecretChange {
        let set = pairs.iter().map(|(k, v)| ((*k).to_owned(), Zeroizing::new((*v).to_owned()))).collect();
        SecretChange { set, whole: false }
    }

    fn set(secrets: &Secrets, node: &str, pairs: &[(&str, &str)]) -> Vec<String> {
        secrets.apply(BTreeMap::from([(node.to_owned(), change(pairs))]), |_| true).unwrap()
    }

    #[test]
    fn secrets_survive_a_restart_and_are_not_readable_on_disk() {
        let dir = tempfile::tempdir().unwrap();
        let secrets = Secrets::open(dir.path()).unwrap();
        assert_eq!(set(&secrets, "n", &[("token", "CANARY-1")]), ["n"]);
        assert!(set(&secrets, "n", &[("token", "CANARY-1")]).is_empty(), "nothing changed");
        let again = Secrets::open(dir.path()).unwrap();
        assert_eq!(again.get("n", "token").unwrap(), "CANARY-1");
        let bytes = std::fs::read(dir.path().join("secrets/credentials")).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains("CANARY"));
    }

    #[test]
    fn an_empty_value_removes_and_a_gone_node_takes_its_secrets_along() {
        let dir = tempfile::tempdir().unwrap();
        let secrets = Secrets::open(dir.path()).unwrap();
        set(&secrets, "a", &[("x", "1"), ("y", "2")]);
        set(&secrets, "a", &[("x", "")]);
        assert_eq!((secrets.get("a", "x"), secrets.get("a", "y")), (None, Some("2".into())));
        secrets.apply(BTreeMap::new(), |node| node != "a").unwrap();
        assert_eq!(secrets.get("a", "y"), None);
    }

    #[test]
    fn another_key_is_told_and_nothing_is_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        set(&Secrets::open(dir.path()).unwrap(), "a", &[("x", "1")]);
        let key = PrivateFile::new(dir.path().join("secrets/key"));
        key.write("00".repeat(32).as_bytes()).unwrap();
        assert!(matches!(Secrets::open(dir.path()), Err(SecretsError::WrongKey { .. })));
        std::fs::remove_file(key.path()).unwrap();
        assert!(matches!(Secrets::open(dir.path()), Err(SecretsError::WrongKey { .. })));
    }

    #[test]
    fn two_installations_share_no_key() {
        let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let key = |dir: &tempfile::TempDir| {
            Secrets::open(dir.path()).unwrap();
            std::fs::read(dir.path().join("secrets/key")).unwrap()
        };
        assert_ne!(key(&a), key(&b));
    }
}
