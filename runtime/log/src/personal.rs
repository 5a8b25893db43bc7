//! Streams that hold personal data: which ones, and how one of them is erased.
//!
//! The log itself remembers both: a key whose id stands under `erased-key/` must not exist any more, wherever a copy of
//! it turns up.

use compact_str::CompactString;
use tidewire_model::event::StreamName;

use crate::LogError;
use crate::lists;
use crate::shared::Shared;
use crate::store::Store;

/// The state that holds the patterns of personal streams.
pub(crate) const PATTERNS: &str = "personal/streams";
/// Before the id of each erased key; the value is its stream.
pub(crate) const ERASED: &str = "erased-key/";

/// The patterns in their state.
pub(crate) fn read_patterns(stored: &[u8]) -> Vec<CompactString> {
    serde_json::from_slice(stored).unwrap_or_default()
}

/// The key and stream that a tombstone is of.
pub(crate) fn read_tombstone(key: &str, value: &[u8]) -> Option<(CompactString, StreamName)> {
    let id = key.strip_prefix(ERASED)?;
    let stream = StreamName::reserved(std::str::from_utf8(value).ok()?).ok()?;
    Some((id.into(), stream))
}

/// Takes over what the log remembers. Erased keys that are there, because a crash came in between or because a backup
/// was put back, are destroyed.
pub(crate) fn settle(shared: &Shared, store: &Store) -> Result<(), LogError> {
    let tombstones = lists::states(shared, store, ERASED)?;
    let erased = tombstones.iter().filter_map(|(key, value)| read_tombstone(key, value));
    if let Err(reason) = shared.bodies.keys.set_erased(erased) {
        tracing::error!(reason, "an erased key could not be destroyed");
        shared.notice(format!("an erased key could not be destroyed: {reason}"));
    }
    let stored = lists::states(shared, store, PATTERNS)?;
    shared.bodies.settle(stored.first().map(|(_, value)| read_patterns(value)).unwrap_or_default());
    Ok(())
}
