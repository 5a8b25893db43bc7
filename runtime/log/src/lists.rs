//! Lists that need memory and store together: streams and state.

use std::collections::BTreeMap;

use bytes::Bytes;
use compact_str::CompactString;
use tidewire_model::query::{StreamHead, wildcard_matches};

use crate::indexer::STATE;
use crate::live::Live;
use crate::shared::Shared;
use crate::store::{Space, Store};
use crate::values::Values;
use crate::{LogError, StreamList};

/// The streams of a list, in order of name.
pub(crate) fn streams(live: &Live, list: &StreamList) -> Vec<StreamHead> {
    let wanted = |name: &str| {
        list.after.as_deref().is_none_or(|after| name > after)
            && list.pattern.as_ref().is_none_or(|pattern| wildcard_matches(pattern, name))
    };
    let mut found: Vec<_> = live.heads.iter().filter(|(stream, _)| wanted(stream.as_str())).collect();
    found.sort_unstable_by_key(|(stream, _)| *stream);
    let limit = if list.limit == 0 { usize::MAX } else { list.limit };
    found.into_iter().take(limit).map(|(stream, head)| head.of(stream.clone())).collect()
}

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
