//! Lists that need memory and store together: state.

use std::collections::BTreeMap;

use bytes::Bytes;
use compact_str::CompactString;

use crate::LogError;
use crate::indexer::STATE;
use crate::shared::Shared;
use crate::store::{Space, Store};
use crate::values::Values;

/// All state under a prefix, in order of key.
pub(crate) fn states(shared: &Shared, store: &Store, prefix: &str) -> Result<Vec<(CompactString, Bytes)>, LogError> {
    // Memory first: what it lets go of meanwhile is in the store by then.
    let newer: Vec<_> = {
        let live = shared.live.read();
        live.states(prefix).map(|(key, value)| (key.clone(), value.clone())).collect()
    };
    let stored = Values::new(store, Space::Log, STATE).scan(prefix, None, usize::MAX)?;
    let mut found: BTreeMap<CompactString, Bytes> = stored.into_iter().collect();
    for (key, value) in newer {
        match value {
            Some(value) => found.insert(key, value),
            None => found.remove(&key),
        };
    }
    Ok(found.into_iter().collect())
}
