//! The names of all streams in order, for whoever lists them.
//!
//! Made when somebody lists streams for the first time, then kept up: who never lists pays nothing, and who does never
//! sorts all names again.

use std::sync::Arc;

use tidewire_model::event::StreamName;
use tidewire_model::query::{StreamHead, wildcard_matches};

use crate::live::Live;
use crate::shared::Shared;
use crate::{StreamList, StreamOrder};

/// Names in order, and those that came since.
#[derive(Default)]
pub(crate) struct Names {
    sorted: Arc<Vec<StreamName>>,
    /// Names that are not among the sorted ones, from when on somebody asked for the first time.
    new: Option<Vec<StreamName>>,
}

impl Names {
    /// Notes a stream that there was not before.
    pub(crate) fn note(&mut self, name: &StreamName) {
        if let Some(new) = &mut self.new {
            new.push(name.clone());
        }
    }

    fn take_new(live: &mut Live) -> Vec<StreamName> {
        match live.names.new.replace(Vec::new()) {
            Some(new) => new,
            None => live.heads.keys().cloned().collect(),
        }
    }
}

/// All names in order. What takes long is done without keeping the writer waiting.
fn sorted(shared: &Shared) -> Arc<Vec<StreamName>> {
    let _one_at_a_time = shared.listing.lock();
    {
        let live = shared.live.read();
        if live.names.new.as_ref().is_some_and(Vec::is_empty) {
            return Arc::clone(&live.names.sorted);
        }
    }
    let (known, mut new) = {
        let mut live = shared.live.write();
        (Arc::clone(&live.names.sorted), Names::take_new(&mut live))
    };
    new.sort_unstable();
    let mut merged = Vec::with_capacity(known.len() + new.len());
    let (mut left, mut right) = (known.iter().cloned().peekable(), new.into_iter().peekable());
    while let (Some(one), Some(other)) = (left.peek(), right.peek()) {
        merged.extend(if one < other { left.next() } else { right.next() });
    }
    merged.extend(left);
    merged.extend(right);
    merged.dedup();
    let merged = Arc::new(merged);
    shared.live.write().names.sorted = Arc::clone(&merged);
    merged
}

/// The streams of a list.
pub(crate) fn streams(shared: &Shared, list: &StreamList) -> Vec<StreamHead> {
    if list.order == StreamOrder::Name {
        let names = sorted(shared);
        let fixed = list.pattern.as_deref().and_then(|pattern| pattern.split('*').next()).unwrap_or_default();
        let after =
            list.after.as_ref().map_or(0, |after| names.partition_point(|name| name.as_str() <= after.name.as_str()));
        let begin = names.partition_point(|name| name.as_str() < fixed).max(after);
        let rest = names.get(begin..).unwrap_or_default().iter().take_while(|name| name.as_str().starts_with(fixed));
        let wanted = rest.filter(|name| list.matches(name.as_str())).take(list.most());
        let wanted: Vec<_> = wanted.cloned().collect();
        let live = shared.live.read();
        return wanted.into_iter().map(|name| live.heads.get(&name).copied().unwrap_or_default().of(name)).collect();
    }
    let live = shared.live.read();
    list.select(live.heads.iter().map(|(name, head)| (name, head.version, head.position)))
        .into_iter()
        .map(|name| live.heads.get(&name).copied().unwrap_or_default().of(name))
        .collect()
}

impl StreamList {
    /// Whether a name is one of those wanted.
    pub(crate) fn matches(&self, name: &str) -> bool {
        self.pattern.as_ref().is_none_or(|pattern| wildcard_matches(pattern, name))
    }

    /// How many are wanted at most.
    pub(crate) const fn most(&self) -> usize {
        if self.limit == 0 { usize::MAX } else { self.limit }
    }

    /// The first streams of the list in an order other than by name, from name, version and last position. Keeps no more
    /// than are wanted at a time.
    pub(crate) fn select<'a>(&self, streams: impl Iterator<Item = (&'a StreamName, u64, u64)>) -> Vec<StreamName> {
        let key = |version: u64, position: u64| match self.order {
            StreamOrder::Name => 0,
            StreamOrder::Oldest => position,
            StreamOrder::Newest => u64::MAX - position,
            StreamOrder::Shortest => version,
            StreamOrder::Longest => u64::MAX - version,
        };
        let after = self.after.as_ref().map(|after| (key(after.version, after.position), after.name.as_str()));
        let mut best = std::collections::BinaryHeap::new();
        for (name, version, position) in streams {
            let entry = (key(version, position), name.as_str());
            let last: Option<&(u64, &StreamName)> = best.peek();
            let full = best.len() >= self.most();
            if after.is_some_and(|after| entry <= after)
                || full && last.is_some_and(|last| entry >= (last.0, last.1.as_str()))
                || !self.matches(name.as_str())
            {
                continue;
            }
            best.push((entry.0, name));
            if best.len() > self.most() {
                best.pop();
            }
        }
        best.into_sorted_vec().into_iter().map(|(_, name)| name.clone()).collect()
    }
}
