//! The one-time token that makes the first user.

use parking_lot::Mutex;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq as _;

const LIFE_MS: i64 = 30 * 60 * 1000;

struct Pending {
    hash: [u8; 32],
    expires: i64,
}

/// Waits for the first user, or has done its work. Only the hash of the token is kept.
pub struct SetupToken {
    pending: Mutex<Option<Pending>>,
    /// Taken by whoever prints the link.
    text: Mutex<Option<String>>,
}

impl SetupToken {
    pub(super) fn new(needed: bool, now: i64) -> Self {
        if !needed {
            return SetupToken { pending: Mutex::new(None), text: Mutex::new(None) };
        }
        let mut bytes = [0u8; 16];
        getrandom::fill(&mut bytes).expect("the operating system gives random numbers");
        let text = format!("{:032x}", u128::from_le_bytes(bytes));
        let pending = Pending { hash: Sha256::digest(text.as_bytes()).into(), expires: now + LIFE_MS };
        SetupToken { pending: Mutex::new(Some(pending)), text: Mutex::new(Some(text)) }
    }

    /// The token itself, once.
    pub fn take_text(&self) -> Option<String> {
        self.text.lock().take()
    }

    pub(super) fn matches(&self, token: &str, now: i64) -> bool {
        let given: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let pending = self.pending.lock();
        pending.as_ref().is_some_and(|pending| bool::from(pending.hash.ct_eq(&given)) && now < pending.expires)
    }

    pub(super) fn spend(&self) {
        *self.pending.lock() = None;
    }
}
