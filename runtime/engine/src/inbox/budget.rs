//! One limit for the memory of all inboxes together.

use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use super::sync::{AtomicUsize, Mutex};

/// Bytes that all inboxes of an engine may hold together, unless it is told otherwise.
const DEFAULT: usize = 256 * 1024 * 1024;

/// An inbox tells the budget of changes this large, so that small messages do not all meet at one counter.
pub const STEP: usize = 4 * 1024;

/// See the module. Sources stop at 80 %, so that what is inside has room to be worked off; at 100 % an inbox takes
/// messages only while it is empty, so that nothing comes to a standstill.
pub struct Budget {
    used: AtomicUsize,
    limit: AtomicUsize,
    waiting: Mutex<Vec<Waker>>,
}

impl Default for Budget {
    fn default() -> Self {
        Budget { used: AtomicUsize::new(0), limit: AtomicUsize::new(DEFAULT), waiting: Mutex::default() }
    }
}

impl Budget {
    /// Bytes in all inboxes, and the limit.
    pub fn figures(&self) -> (usize, usize) {
        (self.used.load(Ordering::Relaxed), self.limit.load(Ordering::Relaxed))
    }

    pub fn set_limit(&self, bytes: usize) {
        self.limit.store(bytes, Ordering::Relaxed);
        self.wake();
    }

    /// Nothing more may come in from outside.
    pub fn sources_wait(&self) -> bool {
        self.used.load(Ordering::Relaxed) >= self.mark()
    }

    /// All of it is used.
    pub fn is_used_up(&self) -> bool {
        self.used.load(Ordering::Relaxed) >= self.limit.load(Ordering::Relaxed)
    }

    fn mark(&self) -> usize {
        let limit = self.limit.load(Ordering::Relaxed);
        limit - limit / 5
    }

    /// An inbox holds `now` bytes; it said `before` when it was asked last. Returns who may go on.
    pub fn change(&self, before: usize, now: usize) -> Vec<Waker> {
        if now >= before {
            self.used.fetch_add(now - before, Ordering::Relaxed);
            return Vec::new();
        }
        let mark = self.mark();
        // Ordered with the look that a waiting source takes under the lock.
        let used = self.used.fetch_sub(before - now, Ordering::SeqCst);
        let crossed = used >= mark && used - (before - now) < mark;
        if crossed { std::mem::take(&mut *self.waiting.lock()) } else { Vec::new() }
    }

    /// Ready when sources may go on.
    pub fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.sources_wait() {
            return Poll::Ready(());
        }
        let mut waiting = self.waiting.lock();
        if self.used.load(Ordering::SeqCst) < self.mark() {
            return Poll::Ready(());
        }
        register(&mut waiting, cx.waker());
        Poll::Pending
    }

    fn wake(&self) {
        let waiting = std::mem::take(&mut *self.waiting.lock());
        waiting.into_iter().for_each(Waker::wake);
    }
}

/// Adds a waker unless it is there.
pub fn register(wakers: &mut Vec<Waker>, waker: &Waker) {
    if !wakers.iter().any(|other| other.will_wake(waker)) {
        wakers.push(waker.clone());
    }
}
