//! Passwords: what is accepted, and how they are hashed.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use tokio::sync::Semaphore;

use super::AuthError;

const LENGTH_MIN: usize = 12;
const LENGTH_MAX: usize = 256;

/// Beginnings of the passwords that attackers try first and that are long enough to pass the length check.
const COMMON: [&str; 24] = [
    "password",
    "passw0rd",
    "123456789",
    "1234567890",
    "qwertyuiop",
    "qwerty123",
    "1q2w3e4r5t",
    "administrator",
    "letmein",
    "iloveyou",
    "welcome1",
    "abcdefghijkl",
    "abc123",
    "monkey",
    "dragon",
    "tidewire",
    "changeme",
    "default",
    "raspberry",
    "homeassistant",
    "node-red",
    "nodered",
    "mosquitto",
    "adminadmin",
];

/// Refuses passwords that are too short, too long or too easy to guess.
///
/// # Errors
/// What is wrong, and what will do.
pub fn check(password: &str, name: &str) -> Result<(), AuthError> {
    let length = password.chars().count();
    let refuse = |text: &str| Err(AuthError::refused("weak_password", text));
    if !(LENGTH_MIN..=LENGTH_MAX).contains(&length) {
        return refuse("a password has 12 to 256 characters; a few words in a row do well");
    }
    let lower = password.to_lowercase();
    // Judged without the common word: "password1234" is four characters long.
    let rest = COMMON.iter().fold(lower.replace(&name.to_lowercase(), ""), |text, word| text.replace(word, ""));
    let mut different: Vec<char> = rest.chars().collect();
    different.sort_unstable();
    different.dedup();
    if rest.chars().count() < 6 || different.len() < 5 {
        return refuse("this password is among the first that are tried; choose another one");
    }
    Ok(())
}

/// A PHC string (argon2id, 19 MiB, two passes). Slow.
///
/// # Errors
/// When the operating system gives no randomness.
pub fn hash(password: &str) -> Result<String, AuthError> {
    Argon2::default()
        .hash_password(password.as_bytes())
        .map(|hash| hash.to_string())
        .map_err(|error| AuthError::refused("hash_failed", format!("the password cannot be hashed: {error}")))
}

/// Whether a password belongs to a PHC string. Slow.
pub fn verify(password: &str, hash: &str) -> bool {
    if password.len() > LENGTH_MAX * 4 {
        return false;
    }
    PasswordHash::new(hash).is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

/// A hash that no password has.
pub fn decoy() -> String {
    static DECOY: LazyLock<String> = LazyLock::new(|| hash(&super::sessions::random_secret()).unwrap_or_default());
    DECOY.clone()
}

/// Bounds how much is hashed at the same time: each hash takes 19 MiB and a core.
pub struct Hashing {
    running: Semaphore,
    waiting: AtomicUsize,
}

const RUNNING_MAX: usize = 2;
const WAITING_MAX: usize = 20;

impl Default for Hashing {
    fn default() -> Self {
        Hashing { running: Semaphore::new(RUNNING_MAX), waiting: AtomicUsize::new(0) }
    }
}

struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Hashing {
    /// Runs slow work on a thread of its own.
    ///
    /// # Errors
    /// That of the work, or that too many wait already.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, AuthError> + Send + 'static,
    ) -> Result<T, AuthError> {
        let place = self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.waiting);
        if place >= WAITING_MAX {
            return Err(AuthError::TooMany { seconds: 5 });
        }
        let _permit = self.running.acquire().await.map_err(|_| AuthError::TooMany { seconds: 5 })?;
        let failed = |_| AuthError::refused("internal", "the work on the password failed; try again");
        tokio::task::spawn_blocking(work).await.map_err(failed)?
    }
}
