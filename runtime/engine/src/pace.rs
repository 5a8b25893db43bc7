//! How many messages a node may work on before others get their turn.
//!
//! A quick node works on a whole batch; one that takes long over each message gets fewer at a time, so that an
//! activation stays short.

/// Messages of one activation at most; then the outputs are sent.
pub const ACTIVATION: usize = 128;

/// How long an activation should take at most.
const ACTIVATION_NS: u64 = 2_000_000;

/// See the module.
#[derive(Default)]
pub struct Pace {
    /// Nanoseconds per message, smoothed.
    each_ns: u64,
}

impl Pace {
    pub fn messages(&self) -> usize {
        let fit = ACTIVATION_NS / self.each_ns.max(1);
        usize::try_from(fit).unwrap_or(ACTIVATION).clamp(1, ACTIVATION)
    }

    /// An activation is over.
    pub fn took(&mut self, messages: u64, ns: u64) {
        if let Some(each) = ns.checked_div(messages) {
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
        (0..60).for_each(|_| pace.took(2, 200));
        assert_eq!(pace.messages(), ACTIVATION);
    }
}
