//! Backups of the log.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where to back up to.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BackupRequest {
    /// A folder of the server's machine: new, empty, or with an earlier backup of the same log.
    pub folder: String,
    /// A file for the keys of personal streams and of secrets; keep it apart from the backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<String>,
    /// For how many days these keys may be restored, 1 to 366; 30 unless it is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys_days: Option<u32>,
}

/// A file with keys. Whoever has it can read what they protect.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct BackedUpKeys {
    pub file: String,
    /// When it was made, in milliseconds since 1970.
    pub created: i64,
    /// From when on it is not restored any more. Until then what is erased can come back from it.
    pub expires: i64,
    /// How many keys of streams it holds.
    pub keys: u64,
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
    /// The file with the keys, if one was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys: Option<BackedUpKeys>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}
