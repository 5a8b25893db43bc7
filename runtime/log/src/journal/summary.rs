//! What the end of an archive says about what is in it, so that nobody has to read the rest to know.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::archive::{ArchiveHead, ArchiveReader};
use super::merkle::leaf_hash;
use super::record::Record;
use crate::{DroppedGroup, LogError};

/// What the end of an archive says about what is in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Summary {
    /// What is in it, by category and event type.
    pub(crate) groups: Vec<Group>,
    /// A hash of each key of its state changes, with the bytes of its last change.
    pub(crate) state: Vec<(u64, u32)>,
    /// Bytes of state changes that a later one in the archive makes superfluous.
    pub(crate) stale_state: u64,
    /// The last events of streams whose last event in this archive was dropped.
    pub(crate) heads: Vec<StoredHead>,
    /// What was dropped, by whom and why.
    pub(crate) dropped: Vec<Dropped>,
    /// The same by category and event type, for those who ask what they lack.
    pub(crate) gone: Vec<DroppedGroup>,
}

impl Summary {
    /// Its bytes.
    pub(crate) fn encode(&self) -> Vec<u8> {
        postcard::to_allocvec(self).expect("a growing buffer takes every summary")
    }

    /// Reads it back.
    ///
    /// # Errors
    /// When the archive cannot be read or its end is damaged.
    pub(crate) fn of(path: &Path) -> Result<(ArchiveHead, Self), LogError> {
        let (head, bytes) = ArchiveReader::summary(path)?;
        let summary = postcard::from_bytes(&bytes).map_err(|error| {
            LogError::Damaged(format!("the end of the archive {} is damaged: {error}", path.display()))
        })?;
        Ok((head, summary))
    }
}

/// The events of one type in one category.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Group {
    pub(crate) category: String,
    pub(crate) event_type: String,
    pub(crate) events: u64,
    pub(crate) bytes: u64,
    /// The recorded time of its first and of its last event.
    pub(crate) first_time: i64,
    pub(crate) last_time: i64,
}

/// The last event of a stream.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredHead {
    pub(crate) stream: String,
    pub(crate) version: u64,
    pub(crate) position: u64,
    pub(crate) recorded_time: i64,
}

/// What one policy dropped at one time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Dropped {
    pub(crate) generation: u64,
    pub(crate) policy: String,
    pub(crate) actor: String,
    pub(crate) time: i64,
    pub(crate) events: u64,
    pub(crate) bytes: u64,
    pub(crate) first_position: u64,
    pub(crate) last_position: u64,
}

/// Gathers what the end of an archive says.
#[derive(Default)]
pub(crate) struct Summing {
    groups: BTreeMap<(String, String), Group>,
    state: BTreeMap<u64, u32>,
    stale_state: u64,
}

impl Summing {
    /// Adds what is left of a commit.
    pub(crate) fn add(&mut self, record: &Record) {
        for (event, frame) in record.events.iter().zip(&record.frames) {
            let key = (event.stream.category().to_owned(), event.event_type.to_string());
            let group = self.groups.entry(key).or_insert_with_key(|(category, event_type)| Group {
                category: category.clone(),
                event_type: event_type.clone(),
                first_time: event.recorded_time,
                ..Group::default()
            });
            group.events += 1;
            group.bytes += frame.len() as u64;
            group.first_time = group.first_time.min(event.recorded_time);
            group.last_time = group.last_time.max(event.recorded_time);
        }
        for change in &record.state {
            let bytes = change.key.len() + change.value.as_ref().map_or(0, |value| value.len());
            let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
            let before = self.state.insert(state_key(&change.key), bytes);
            self.stale_state += u64::from(before.unwrap_or_default());
        }
    }

    /// What was gathered.
    pub(crate) fn finish(self) -> Summary {
        Summary {
            groups: self.groups.into_values().collect(),
            state: self.state.into_iter().collect(),
            stale_state: self.stale_state,
            ..Summary::default()
        }
    }
}

/// What stands for the key of a state change.
pub(crate) fn state_key(key: &str) -> u64 {
    let hash = leaf_hash(key.as_bytes());
    hash.first_chunk().copied().map_or(0, u64::from_le_bytes)
}
