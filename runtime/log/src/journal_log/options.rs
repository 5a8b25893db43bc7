//! How a log on disk is opened.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use compact_str::CompactString;

use crate::journal::SEGMENT_BYTES;
use crate::plan::{IdWindow, wall_clock};

/// Read again within a fifth of a second.
const REFRESH_AFTER: u64 = 128 * 1024 * 1024;

/// How to open a log.
#[derive(Clone)]
pub struct JournalOptions {
    /// A segment is closed when the next record would take it beyond this.
    pub segment_bytes: u64,
    /// How many bytes the log may take; new events are refused at 90 % of it. Without it, the disk decides.
    pub max_bytes: Option<u64>,
    /// Whether closed segments are compressed once the store has them.
    pub archive: bool,
    /// So many newest events stay in memory even when the store has them, for subscribers that are close behind.
    pub keep_events: usize,
    /// The clock, in milliseconds since 1970.
    pub clock: Arc<dyn Fn() -> i64 + Send + Sync>,
    /// After how many bytes the indexed store notes where everything is, which bounds how much of it is read at the
    /// next start. Reading waits meanwhile.
    pub refresh_after: u64,
    /// Every commit takes so much longer, as on a slower disk. For measuring.
    pub commit_delay: Duration,
    /// How far back a repeated event id is recognised. It takes 1.5 bytes of memory per event, up to 96 MiB; what does
    /// not fit is looked for on the disk.
    pub id_window: IdWindow,
    /// Where the keys of streams with personal data lie; in the folder of the log when it does not say. A folder of
    /// its own keeps a copy of the log from telling anything.
    pub keys: Option<PathBuf>,
    /// Patterns of streams that hold personal data, beside those that are set while it runs.
    pub personal: Vec<CompactString>,
}

impl Default for JournalOptions {
    fn default() -> Self {
        Self {
            segment_bytes: SEGMENT_BYTES,
            max_bytes: None,
            archive: true,
            keep_events: 4096,
            clock: Arc::new(wall_clock),
            refresh_after: REFRESH_AFTER,
            commit_delay: Duration::ZERO,
            id_window: IdWindow::default(),
            keys: None,
            personal: Vec::new(),
        }
    }
}
