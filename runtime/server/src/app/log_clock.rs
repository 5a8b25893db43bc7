//! The clock of the event log: that of the machine, but for tests, which put it ahead.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use tidewire_engine::{Clock as _, SystemClock};

/// See the module.
#[derive(Debug, Clone, Default)]
pub struct LogClock {
    ahead_ms: Arc<AtomicI64>,
}

impl LogClock {
    /// Milliseconds since 1970.
    pub fn now_ms(&self) -> i64 {
        SystemClock.now_ms().saturating_add(self.ahead_ms.load(Ordering::Relaxed))
    }

    /// Puts it ahead of the machine's clock.
    pub fn put_ahead(&self, ms: i64) {
        self.ahead_ms.store(ms, Ordering::Relaxed);
    }
}
