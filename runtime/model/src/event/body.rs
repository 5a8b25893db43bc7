//! Where the data of an event is, and what became of it on its way to a reader.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::Event;

/// What an event has in place of data that is not simply there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Body {
    /// `data` and `raw` are what was appended.
    #[default]
    Whole,
    /// As the log stores it: encrypted when the event has a key, and what is large in files of its own. The log
    /// puts it together before it hands an event out.
    Stored(Arc<StoredBody>),
    /// The key was destroyed on purpose: there is no data any more, and there never will be.
    Erased,
    /// It cannot be read now. The text says why.
    Unreadable(Arc<str>),
}

/// The parts of an event that lie in files of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StoredBody {
    /// Where the data is, unless it is in the event.
    pub data: Option<ContentRef>,
    /// Where the payload of `raw` is, unless it is in the event.
    pub raw: Option<ContentRef>,
}

impl StoredBody {
    /// The files that it refers to.
    pub fn content(&self) -> impl Iterator<Item = ContentRef> + use<> {
        [self.data, self.raw].into_iter().flatten()
    }
}

/// The name of a content file: what it holds, and how much of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ContentRef {
    /// SHA-256 of the bytes.
    pub hash: [u8; 32],
    /// How many bytes.
    pub len: u64,
}

impl ContentRef {
    /// What refers to some bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self { hash: Sha256::digest(bytes).into(), len: bytes.len() as u64 }
    }
}

impl fmt::Display for ContentRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.hash.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// An event in the form of a later schema than it was stored with.
#[derive(Debug, Clone, PartialEq)]
pub enum Upcast {
    /// The event as it is stored.
    From(Arc<Event>),
    /// It could not be brought into the later form: this is the stored one. The text says why.
    Failed(Arc<str>),
}
