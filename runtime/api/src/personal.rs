//! Streams that hold personal data.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::backup::BackedUpKeys;

/// Which streams hold personal data.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PersonalStreams {
    /// Patterns of names; `*` stands for any run of characters. What is appended to these streams is encrypted.
    pub streams: Vec<String>,
    /// Streams that were erased and whose traces in read models are just being removed.
    pub erasing: Vec<String>,
    /// Files with keys that were made here and have not expired.
    pub key_backups: Vec<BackedUpKeys>,
}

/// Which streams hold personal data from now on. What is stored already stays as it is.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PutPersonalStreams {
    /// Patterns of names; `*` stands for any run of characters.
    pub streams: Vec<String>,
}

/// Erases the data of a stream for good.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EraseSubject {
    /// The name of the stream once more.
    pub confirm: String,
}

/// What an erasure did.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ErasedSubject {
    pub stream: String,
    /// The key that was destroyed.
    pub key_id: String,
    /// Position of the event that says so; absent when it had been erased before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<u64>,
    /// Events that were stored before the stream was personal: they are not encrypted and stay.
    pub in_clear: u64,
    /// Until when the key can still come back from a file with keys that was made here, in milliseconds since 1970.
    /// Destroy those files, or wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restorable_until: Option<i64>,
}
