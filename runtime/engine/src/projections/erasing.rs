//! What nobody may read between the erasure of a stream and the moment when no read model holds anything of it any more.

use std::collections::{BTreeMap, BTreeSet};

use parking_lot::RwLock;
use tidewire_model::event::StreamName;
use tidewire_node_api::handles::{HandleError, Keys, ProjectionSpec};

/// Streams that are being erased.
#[derive(Default)]
pub(super) struct Erasing {
    streams: RwLock<BTreeMap<StreamName, Under>>,
}

/// One stream that is being erased.
#[derive(Default)]
struct Under {
    /// How many erasures of it are not done.
    erasures: usize,
    /// Read models that hold nothing of it any more.
    clean: BTreeSet<String>,
}

/// What is not shown of a read model.
pub(super) enum Withheld {
    Nothing,
    /// Some keys; nothing else is concerned.
    Keys(Vec<Keys>),
    Everything,
}

impl Erasing {
    /// One more erasure of a stream.
    pub(super) fn begin(&self, stream: &StreamName) {
        self.count(stream, |erasures| erasures + 1);
    }

    /// Read models are about to be cleaned of a stream.
    pub(super) fn go_on(&self, stream: &StreamName) {
        self.count(stream, |erasures| erasures.max(1));
    }

    /// Nothing is clean of a stream any more, which so many erasures concern.
    fn count(&self, stream: &StreamName, erasures: impl FnOnce(usize) -> usize) {
        let mut streams = self.streams.write();
        let under = streams.entry(stream.clone()).or_default();
        under.erasures = erasures(under.erasures);
        under.clean.clear();
    }

    /// A read model holds nothing of a stream any more.
    pub(super) fn cleaned(&self, stream: &StreamName, name: &str) {
        if let Some(under) = self.streams.write().get_mut(stream) {
            under.clean.insert(name.to_owned());
        }
    }

    /// An erasure of a stream is done.
    pub(super) fn end(&self, stream: &StreamName) {
        let mut streams = self.streams.write();
        if let Some(under) = streams.get_mut(stream) {
            under.erasures = under.erasures.saturating_sub(1);
            if under.erasures == 0 {
                streams.remove(stream);
            }
        }
    }

    /// What is not shown of a read model; of one that nobody keeps it is not known what it is made from.
    pub(super) fn withheld(&self, name: &str, spec: Option<&ProjectionSpec>) -> Withheld {
        let streams = self.streams.read();
        let mut keys = Vec::new();
        for (stream, under) in streams.iter() {
            if under.clean.contains(name) || spec.is_some_and(|spec| !spec.filter.may_find(stream)) {
                continue;
            }
            match spec.and_then(|spec| spec.reducer.keys_of(stream)) {
                Some(more) => keys.push(more),
                None => return Withheld::Everything,
            }
        }
        if keys.is_empty() { Withheld::Nothing } else { Withheld::Keys(keys) }
    }
}

impl Withheld {
    /// Whether a key is not shown.
    pub(super) fn has(&self, key: &str) -> bool {
        match self {
            Self::Nothing => false,
            Self::Keys(keys) => keys.iter().any(|keys| keys.contain(key)),
            Self::Everything => true,
        }
    }

    pub(super) const fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }
}

/// The answer in the meantime.
pub(super) fn refusal(name: &str) -> HandleError {
    HandleError::retryable(format!(
        "\"{name}\" is being rebuilt after an erasure; it can be read again when nothing of what was erased is left in it"
    ))
}
