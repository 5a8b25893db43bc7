//! How many messages a node may work on before others get their turn.
//!
//! A quick node works on a whole batch; one that takes long over each message gets fewer at a time, so that an
//! activation stays short.

use std::time::Duration;

/// Messages of one activation at most; then the outputs are sent.
pub const ACTIVATION: usize = 128;

/// How long an activation should take at most.
const ACTIVATION_NS: u64 = 2_000_000;

/// An activation per message that is too long for a thread that others share, and how many of them in a row tell.
const SLOW: (u64, u8) = (5_000_000, 2);

/// How long whoever ran away rests after work of this length: it takes a tenth of a thread at most.
pub fn rest_after(took: Duration) -> Duration {
    took.saturating_mul(9)
}

/// See the module.
#[derive(Default)]
pub struct Pace {
    /// How many activations in a row were slow.
    slow: u8,
    /// Nanoseconds per message, smoothed.
    each_ns: u64,
}

impl Pace {
    pub fn messages(&self) -> usize {
        let fit = ACTIVATION_NS / self.each_ns.max(1);
        usize::try_from(fit).unwrap_or(ACTIVATION).clamp(1, ACTIVATION)
    }

    /// The node takes long over each message.
    pub fn is_slow(&self) -> bool {
        self.slow >= SLOW.1
    }

    /// An activation is over.
    pub fn took(&mut self, messages: u64, ns: u64) {
        if let Some(each) = ns.checked_div(messages) {
            self.slow = if each > SLOW.0 { self.slow.saturating_add(1) } else { 0 };
            // Rises quickly and falls slowly: a pause of the machine costs little, a slow node is soon known.
            self.each_ns =
                if each > self.each_ns { self.each_ns.midpoint(each) } else { (self.each_ns * 7 + each) / 8 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_node_gets_fewer_messages_at_a_time_and_a_quick_one_all() {
        let mut pace = Pace::default();
        assert_eq!(pace.messages(), ACTIVATION);
        pace.took(128, 128_000_000);
        assert_eq!(pace.messages(), 4);
        assert!(!pace.is_slow(), "once may be the machine");
        pace.took(1, 6_000_000);
        pace.took(1, 6_000_000);
        assert!(pace.is_slow());
        (0..60).for_each(|_| pace.took(2, 200));
        assert!(!pace.is_slow());
        assert_eq!(pace.messages(), ACTIVATION);
    }
}
