//! Acknowledgement tokens: how a source learns that everything made from its message is safely dealt with.
//!
//! A token travels in the delivery, beside the message, so that nothing that merely looks at messages can hold one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

/// How a branch ended. Ordered: the worst one of all branches counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Outcome {
    /// Stored, sent or consumed.
    Done = 0,
    /// Dropped on purpose, by a filter or a policy.
    Dropped = 1,
    /// Lost to an error.
    Failed = 2,
    /// Nobody said how it ended: whoever had it was cut off. The source should bring it again.
    Lost = 3,
}

/// What a source wants to be told.
pub trait AckSink: Send + Sync {
    /// All branches of the message that the source numbered `id` have ended; `outcome` is the worst of them.
    fn complete(&self, id: u64, outcome: Outcome);
}

/// One branch of a message that its source wants to acknowledge. A token that is merely dropped counts as lost, never
/// as done.
pub struct Token(Option<Arc<Branches>>);

struct Branches {
    pending: AtomicU32,
    worst: AtomicU8,
    id: u64,
    sink: Arc<dyn AckSink>,
}

impl Token {
    /// The token of a new message.
    pub fn new(sink: Arc<dyn AckSink>, id: u64) -> Self {
        Token(Some(Arc::new(Branches { pending: AtomicU32::new(1), worst: AtomicU8::new(0), id, sink })))
    }

    /// A token for one more branch. The source waits for both.
    pub fn split(&self) -> Token {
        if let Some(branches) = &self.0 {
            branches.pending.fetch_add(1, Ordering::Relaxed);
        }
        Token(self.0.clone())
    }

    /// Ends this branch.
    pub fn finish(mut self, outcome: Outcome) {
        if let Some(branches) = self.0.take() {
            branches.end(outcome);
        }
    }
}

impl Branches {
    fn end(&self, outcome: Outcome) {
        if outcome != Outcome::Done {
            self.worst.fetch_max(outcome as u8, Ordering::Relaxed);
        }
        // Release and acquire: whoever ends the last branch sees the outcomes of all others.
        if self.pending.fetch_sub(1, Ordering::AcqRel) == 1 {
            let outcome = match self.worst.load(Ordering::Relaxed) {
                0 => Outcome::Done,
                1 => Outcome::Dropped,
                2 => Outcome::Failed,
                _ => Outcome::Lost,
            };
            self.sink.complete(self.id, outcome);
        }
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        if let Some(branches) = self.0.take() {
            branches.end(Outcome::Lost);
        }
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Token").field(&self.0.as_ref().map(|branches| branches.id)).finish()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::sync::Mutex;

    #[derive(Default)]
    struct Seen(Mutex<Vec<(u64, Outcome)>>);

    impl AckSink for Seen {
        fn complete(&self, id: u64, outcome: Outcome) {
            self.0.lock().unwrap().push((id, outcome));
        }
    }

    #[test]
    fn the_source_learns_the_worst_outcome_once_all_branches_ended() {
        let seen = Arc::new(Seen::default());
        let first = Token::new(seen.clone(), 7);
        let (second, third) = (first.split(), first.split());
        first.finish(Outcome::Done);
        second.finish(Outcome::Dropped);
        assert!(seen.0.lock().unwrap().is_empty());
        third.finish(Outcome::Done);
        assert_eq!(*seen.0.lock().unwrap(), [(7, Outcome::Dropped)]);
    }

    #[test]
    fn a_dropped_token_counts_as_lost() {
        let seen = Arc::new(Seen::default());
        drop(Token::new(seen.clone(), 1));
        assert_eq!(*seen.0.lock().unwrap(), [(1, Outcome::Lost)]);
    }
}
