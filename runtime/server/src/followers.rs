//! Who follows the log over HTTP right now, and how far each is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tidewire_model::position::Position;
use tidewire_model::query::Filter;

/// All followers.
#[derive(Default)]
pub struct Followers {
    open: Mutex<BTreeMap<u64, Arc<Follower>>>,
    next: AtomicU64,
}

/// One who follows.
pub struct Follower {
    pub id: u64,
    /// `sse` or `socket`.
    pub kind: &'static str,
    /// Who asked.
    pub actor: String,
    pub filter: Filter,
    /// Milliseconds since 1970.
    pub since: i64,
    /// Everything up to here was sent or did not match.
    position: AtomicU64,
    /// Sent and not acknowledged, for those who acknowledge.
    waiting: AtomicU64,
}

impl Follower {
    pub fn position(&self) -> Position {
        Position::new(self.position.load(Ordering::Relaxed))
    }

    pub fn waiting(&self) -> u64 {
        self.waiting.load(Ordering::Relaxed)
    }

    pub fn set_waiting(&self, count: usize) {
        self.waiting.store(count as u64, Ordering::Relaxed);
    }

    pub fn reached(&self, position: Position) {
        self.position.store(position.get(), Ordering::Relaxed);
    }
}

impl Followers {
    /// Counts a follower in until the answer is dropped.
    pub fn enter(
        self: &Arc<Self>,
        kind: &'static str,
        actor: String,
        filter: Filter,
        since: i64,
        position: Position,
    ) -> Following {
        let id = self.next.fetch_add(1, Ordering::Relaxed) + 1;
        let (position, waiting) = (AtomicU64::new(position.get()), AtomicU64::new(0));
        let follower = Arc::new(Follower { id, kind, actor, filter, since, position, waiting });
        self.open.lock().insert(id, Arc::clone(&follower));
        Following { followers: Arc::clone(self), follower }
    }

    /// All of them, the oldest first.
    pub fn list(&self) -> Vec<Arc<Follower>> {
        self.open.lock().values().cloned().collect()
    }
}

/// A follower that is counted in.
pub struct Following {
    followers: Arc<Followers>,
    pub follower: Arc<Follower>,
}

impl Drop for Following {
    fn drop(&mut self) {
        self.followers.open.lock().remove(&self.follower.id);
    }
}
