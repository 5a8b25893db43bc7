//! Storage for projections: read models with the position they stand for.
//!
//! State and checkpoint are stored in one step, so that each event takes effect exactly once. What a projection
//! computes, and when, is the engine's business.

mod memory;
mod stored;

use bytes::Bytes;
use compact_str::CompactString;
use tidewire_model::position::Position;

use crate::LogError;

pub use memory::MemoryProjections;
pub(crate) use stored::{StoredProjections, belong_to};

/// What is known of a stored projection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectionInfo {
    /// Its name.
    pub name: CompactString,
    /// The version or hash of the definition that made it.
    pub version: CompactString,
    /// Every event up to here has taken effect.
    pub checkpoint: Position,
}

/// One key and its new value; `None` removes the key.
pub type ProjectionChange = (CompactString, Option<Bytes>);

/// Keeps projections. Calls are short and may block on the disk; the engine calls them from its projection tasks.
pub trait ProjectionStore: Send + Sync {
    /// What is stored of a projection, or `None` when it has to be built from the start.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn load(&self, name: &str) -> Result<Option<ProjectionInfo>, LogError>;

    /// All stored projections, in order of name.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn list(&self) -> Result<Vec<ProjectionInfo>, LogError>;

    /// Stores changes and checkpoint in one step: after a crash either both are there or neither.
    ///
    /// # Errors
    /// When the projection is stored under another version, or the store cannot be written.
    fn commit(
        &self,
        name: &str,
        version: &str,
        changes: Vec<ProjectionChange>,
        checkpoint: Position,
    ) -> Result<(), LogError>;

    /// The value of a key.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn get(&self, name: &str, key: &str) -> Result<Option<Bytes>, LogError>;

    /// Keys and values in order of key: those that begin with `prefix`, after `after`, at most `limit`.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn scan(
        &self,
        name: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(CompactString, Bytes)>, LogError>;

    /// Makes sure that what was replaced or dropped is not on the disk any more, by moving the rest.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    fn renew(&self) -> Result<(), LogError>;

    /// Forgets a projection and everything in it.
    ///
    /// # Errors
    /// When the store cannot be written.
    fn drop_projection(&self, name: &str) -> Result<(), LogError>;
}

/// Refuses names that the store cannot tell apart.
pub(crate) fn check_name(name: &str) -> Result<(), LogError> {
    if name.is_empty() || name.len() > 64 || name.chars().any(char::is_control) {
        return Err(LogError::Name(format!(
            "the projection name '{name}' is empty, longer than 64 bytes or unprintable"
        )));
    }
    Ok(())
}

pub(crate) fn check_version(info: &ProjectionInfo, version: &str) -> Result<(), LogError> {
    if info.version == version {
        return Ok(());
    }
    Err(LogError::ProjectionVersion {
        name: info.name.to_string(),
        stored: info.version.to_string(),
        given: version.to_owned(),
    })
}
