//! Crashes and deploys on the bench, and what was under way meanwhile.

use super::Bench;
use super::host::lock;
use crate::node::StopReason;
use crate::token::Outcome;

impl Bench {
    /// As after a crash: a new instance that finds what was kept, and nothing else. Timers are gone, and so is what the
    /// node has sent and nobody has dealt with.
    ///
    /// # Panics
    /// When the node cannot be built a second time.
    #[must_use]
    pub fn crashed(mut self) -> Self {
        self.build_again();
        if let Some(tokens) = &mut self.sent_tokens {
            tokens.clear();
        }
        self.start(None);
        self
    }

    /// As after a deploy of the node: a new instance that gets what the old one left.
    ///
    /// # Panics
    /// When the node cannot be built a second time.
    #[must_use]
    pub fn replaced(mut self) -> Self {
        self.begin();
        let mut state = None;
        self.act(|node, ctx| state = node.stop(StopReason::Replaced, ctx));
        self.build_again();
        self.start(state);
        self
    }

    fn build_again(&mut self) {
        match (self.build)() {
            Ok(node) => self.node = node,
            Err(error) => panic!("the node cannot be built again: {error}"),
        }
        lock(&self.host.world).timers.clear();
    }

    /// Leaves open what becomes of the messages that the node sends, until [`Bench::delivered`] or a crash.
    #[must_use]
    pub fn with_slow_receiver(mut self) -> Self {
        self.sent_tokens = Some(Vec::new());
        self
    }

    /// Whoever got the messages sent so far has dealt with them.
    #[must_use]
    pub fn delivered(mut self) -> Self {
        for token in self.sent_tokens.iter_mut().flat_map(std::mem::take) {
            token.finish(Outcome::Done);
        }
        self
    }
}
