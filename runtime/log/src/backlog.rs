//! What is durable but not in the store yet, in bytes: the writer waits while it is too much.

use parking_lot::{Condvar, Mutex};

/// The writer waits beyond this. An event takes about three times its record's bytes in memory.
const BYTES_MAX: usize = 8 * 1024 * 1024;

/// Counts commits between the writer and the store.
#[derive(Default)]
pub(crate) struct Backlog {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    bytes: usize,
    /// Nobody takes commits any more.
    closed: bool,
}

impl Backlog {
    /// Waits until there is room for a commit, and counts it. A single one always has room.
    pub(crate) fn enter(&self, bytes: usize) {
        let mut state = self.state.lock();
        while !state.closed && state.bytes > 0 && state.bytes + bytes > BYTES_MAX {
            self.changed.wait(&mut state);
        }
        state.bytes += bytes;
    }

    /// A commit is being taken in; it no longer counts once what this answers is dropped.
    pub(crate) const fn leaving(&self, bytes: usize) -> Leaving<'_> {
        Leaving { backlog: self, bytes }
    }

    /// Nobody waits any more once what this answers is dropped.
    pub(crate) const fn closing(&self) -> Closing<'_> {
        Closing(self)
    }
}

/// A commit on its way into the store.
pub(crate) struct Leaving<'a> {
    backlog: &'a Backlog,
    bytes: usize,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        let mut state = self.backlog.state.lock();
        state.bytes = state.bytes.saturating_sub(self.bytes);
        self.backlog.changed.notify_all();
    }
}

/// The end of whoever takes commits in.
pub(crate) struct Closing<'a>(&'a Backlog);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.state.lock().closed = true;
        self.0.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_waits_for_room_until_others_have_left_or_nobody_takes_any() {
        let backlog = Backlog::default();
        backlog.enter(BYTES_MAX * 2);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| backlog.enter(BYTES_MAX));
            drop(backlog.leaving(BYTES_MAX * 2));
            waiting.join().expect("it has room");
            let waiting = scope.spawn(|| backlog.enter(1));
            drop(backlog.closing());
            waiting.join().expect("it waits no longer");
        });
        assert_eq!(backlog.state.lock().bytes, BYTES_MAX + 1);
    }
}
