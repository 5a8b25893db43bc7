//! Time and identity, injected so that a replay can bring its own.

use std::time::{SystemTime, UNIX_EPOCH};

/// Where nodes get the time from.
pub trait Clock: Send + Sync {
    /// Milliseconds since 1970.
    fn now_ms(&self) -> i64;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_ms(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }
}

/// Secrets of nodes, kept apart from flow documents.
pub trait Credentials: Send + Sync {
    /// The secret `key` of a node.
    fn get(&self, node: &str, key: &str) -> Option<String>;
}

/// No secrets at all.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoCredentials;

impl Credentials for NoCredentials {
    fn get(&self, _node: &str, _key: &str) -> Option<String> {
        None
    }
}
