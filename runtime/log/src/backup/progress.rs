//! How far a backup or a scrub is, for whoever watches or stops it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::BackupError;

/// How far it is. A clone is the same one.
#[derive(Debug, Clone, Default)]
pub struct Progress {
    inner: Arc<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    total: AtomicU64,
    done: AtomicU64,
    cancelled: AtomicBool,
}

impl Progress {
    /// How many bytes of how many are done. The whole may grow while it is found out.
    #[must_use]
    pub fn bytes(&self) -> (u64, u64) {
        (self.inner.done.load(Ordering::Relaxed), self.inner.total.load(Ordering::Relaxed))
    }

    /// Stops the work at the next opportunity.
    pub fn cancel(&self) {
        self.inner.cancelled.store(true, Ordering::Relaxed);
    }

    /// Notes how many bytes of how many are done.
    pub(crate) fn set(&self, done: u64, total: u64) {
        self.inner.done.store(done, Ordering::Relaxed);
        self.inner.total.store(total, Ordering::Relaxed);
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.inner.cancelled.load(Ordering::Relaxed)
    }

    pub(super) fn expect(&self, bytes: u64) {
        self.inner.total.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Notes what is done.
    ///
    /// # Errors
    /// When somebody has cancelled.
    pub(super) fn advance(&self, bytes: u64) -> Result<(), BackupError> {
        self.inner.done.fetch_add(bytes, Ordering::Relaxed);
        if self.inner.cancelled.load(Ordering::Relaxed) { Err(BackupError::Cancelled) } else { Ok(()) }
    }
}
