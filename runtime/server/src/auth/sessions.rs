//! Sessions of people: opaque secrets, of which only the hash is kept.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::table::Table;
use super::{AuthError, Origin};
use tidewire_log::private_file::PrivateFileError;

pub const IDLE_MS: i64 = 12 * 3600 * 1000;
pub const ABSOLUTE_MS: i64 = 7 * 24 * 3600 * 1000;
/// Most sessions at a time, of all users; the oldest ends when one more is opened.
const SESSIONS_MAX: usize = 1_000;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Session {
    user: String,
    created: i64,
    seen: i64,
    address: String,
    agent: String,
}

impl Session {
    fn is_over(&self, now: i64) -> bool {
        now - self.created > ABSOLUTE_MS || now - self.seen > IDLE_MS
    }
}

pub struct Sessions(Table<Session>);

/// 256 random bits as text.
pub fn random_secret() -> String {
    let mut bytes = [0u8; 32];
    getrandom::fill(&mut bytes).expect("the operating system gives random numbers");
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The hash under which a secret is kept.
pub fn hash_of(secret: &str) -> String {
    Sha256::digest(secret.as_bytes()).iter().fold(String::with_capacity(64), |mut text, byte| {
        use std::fmt::Write as _;
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// What a session is called in the log: says nothing about its secret.
fn name_of(hash: &str) -> String {
    hash.get(..16).unwrap_or_default().to_owned()
}

impl Sessions {
    pub(super) fn open(dir: &Path, now: i64) -> Result<Self, PrivateFileError> {
        let table = Table::<Session>::open(dir, "sessions.json")?;
        if table.list().iter().any(|session| session.is_over(now)) {
            table.change::<_, PrivateFileError>(|items| {
                items.retain(|_, session| !session.is_over(now));
                Ok(())
            })?;
        }
        Ok(Sessions(table))
    }

    /// Opens a session; answers its secret and its name in the log.
    pub(super) fn open_session(&self, user: &str, origin: &Origin, now: i64) -> Result<(String, String), AuthError> {
        let secret = random_secret();
        let hash = hash_of(&secret);
        let session = Session {
            user: user.to_owned(),
            created: now,
            seen: now,
            address: origin.address.clone(),
            agent: origin.agent.chars().take(200).collect(),
        };
        let name = name_of(&hash);
        self.0.change::<_, AuthError>(|items| {
            items.retain(|_, session| !session.is_over(now));
            while items.len() >= SESSIONS_MAX {
                let oldest = items.iter().min_by_key(|(_, session)| session.seen).map(|(key, _)| key.clone());
                let Some(oldest) = oldest else { break };
                items.remove(&oldest);
            }
            items.insert(hash, session);
            Ok(())
        })?;
        Ok((secret, name))
    }

    /// The session's name and user, when the secret is one.
    pub(super) fn find(&self, secret: &str, now: i64) -> Option<(String, String)> {
        // Looked up by its hash: what timing tells is about the hash, from which no secret can be made.
        let hash = hash_of(secret);
        let session = self.0.get(&hash).filter(|session| !session.is_over(now))?;
        if now - session.seen > 60_000 {
            self.0.touch(&hash, |session| session.seen = now);
        }
        Some((name_of(&hash), session.user))
    }

    /// Ends the session of a secret; answers whose it was.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn close(&self, secret: &str) -> Result<Option<String>, AuthError> {
        let hash = hash_of(secret);
        if self.0.get(&hash).is_none() {
            return Ok(None);
        }
        self.0.change(|items| Ok(items.remove(&hash).map(|session| session.user)))
    }

    /// Ends all sessions of a user.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn close_all_of(&self, user: &str) -> Result<(), AuthError> {
        self.0.change(|items| {
            items.retain(|_, session| session.user != user);
            Ok(())
        })
    }
}
