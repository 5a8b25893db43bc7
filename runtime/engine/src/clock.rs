//! Time and identity, injected so that a replay can bring its own.

use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The longest sleep without looking at the clock again: it may have been set meanwhile.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// The future of [`Clock::until`].
pub type Until<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Where nodes get the time from.
pub trait Clock: Send + Sync {
    /// Milliseconds since 1970.
    fn now_ms(&self) -> i64;

    /// Resolves when the clock shows `at_ms`, or more.
    fn until(&self, at_ms: i64) -> Until<'_> {
        Box::pin(async move {
            loop {
                let wait = at_ms.saturating_sub(self.now_ms());
                if wait <= 0 {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(wait.unsigned_abs()).min(LOOK_AGAIN)).await;
            }
        })
    }
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
