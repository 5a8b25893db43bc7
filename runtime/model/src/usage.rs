//! What a log takes, and whether that is too much.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::position::Position;

/// How the room is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum SpaceLevel {
    /// Enough.
    #[default]
    Normal,
    /// Soon too little; everything goes on.
    Warning,
    /// Too little: new events are refused, reading goes on.
    Refusing,
}

/// What a log takes and what is left.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Usage {
    /// Segments that are no archives yet.
    pub journal_bytes: u64,
    /// Archives.
    pub archive_bytes: u64,
    /// Large payloads.
    pub content_bytes: u64,
    /// The indexed store.
    pub store_bytes: u64,
    /// What all of it takes.
    pub total_bytes: u64,
    /// What the disk has left, and how large it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_free_bytes: Option<u64>,
    /// How large the disk is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_total_bytes: Option<u64>,
    /// What the log may take, if somebody said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u64>,
    /// Whether there is enough room.
    pub level: SpaceLevel,
    /// The last position.
    #[schemars(with = "u64")]
    pub head: Position,
    /// Events a day over the last days.
    pub events_per_day: f64,
    /// Bytes a day over the last days, as far as can be told.
    pub bytes_per_day: f64,
    /// Days until new events are refused at this rate; absent when nothing grows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub days_left: Option<f64>,
    /// What is in the archives, the largest first.
    pub archived: Vec<UsageGroup>,
}

/// The events of one type in one category.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsageGroup {
    /// The category.
    pub category: String,
    /// The event type.
    pub event_type: String,
    /// How many events.
    pub events: u64,
    /// How many bytes, uncompressed.
    pub bytes: u64,
}
