//! Figures of the server, in Prometheus' text form.

mod histogram;
mod log;
mod text;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::http::StatusCode;

pub use histogram::Histogram;
pub use log::MeteredLog;
pub use text::render;

/// Counts answers by class of status.
#[derive(Default)]
pub struct HttpMetrics {
    by_class: [AtomicU64; 6],
    pub seconds: Histogram,
}

impl HttpMetrics {
    pub fn count(&self, status: StatusCode, took: Duration) {
        if let Some(counter) = self.by_class.get(usize::from(status.as_u16() / 100)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        // A socket's time is its life, not an answer time.
        if status != StatusCode::SWITCHING_PROTOCOLS {
            self.seconds.observe(took);
        }
    }

    /// Class of status (`2xx`) and count.
    pub fn classes(&self) -> impl Iterator<Item = (String, u64)> {
        self.by_class
            .iter()
            .enumerate()
            .skip(1)
            .map(|(class, count)| (format!("{class}xx"), count.load(Ordering::Relaxed)))
    }
}
