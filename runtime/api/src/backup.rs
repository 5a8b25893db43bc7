//! Backups of the log.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where to back up to.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BackupRequest {
    /// A folder of the server's machine: new, empty, or with an earlier backup of the same log.
    pub folder: String,
}

/// How far a backup is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum BackupState {
    /// Under way.
    Running,
    /// Complete.
    Done,
    /// Not made; `error` says why. A backup that was there before still is.
    Failed,
    /// Given up on demand.
    Cancelled,
}

/// A backup that was begun since the server started.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Backup {
    pub id: String,
    pub folder: String,
    pub state: BackupState,
    /// When it was begun, in milliseconds since 1970.
    pub started: i64,
    /// Bytes copied so far.
    pub done_bytes: u64,
    /// Bytes to be copied, as far as is known.
    pub total_bytes: u64,
    /// The last position in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<u64>,
    /// How many files it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub files: Option<u64>,
    /// How many of them were copied; the others were there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copied_files: Option<u64>,
    /// Files of the log that were damaged before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}
