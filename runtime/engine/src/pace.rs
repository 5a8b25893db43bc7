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

/// The rest of whoever runs away again and again doubles so often: to a share of a hundred and fiftieth of a thread.
const RUNAWAYS_MAX: u32 = 4;

/// Up to so many nanoseconds a message counts as quick; of quick ones so many are timed together.
const QUICK: (u64, u64) = (20_000, 16);

/// How long whoever ran away rests after work of this length: it takes a tenth of a thread at most.
pub fn rest_after(took: Duration) -> Duration {
    took.saturating_mul(9)
}

/// See the module.
#[derive(Default)]
pub struct Pace {
    /// How many activations in a row were slow.
    slow: u8,
    /// How many activations in a row ran away.
    runaways: u32,
    /// Nanoseconds per message, smoothed.
    each_ns: u64,
}

impl Pace {
    /// The work ran away: it counts as slow at once. Answers how long to rest, twice as long each time in a row.
    pub fn ran_away(&mut self, took: Duration) -> Duration {
        self.slow = self.slow.max(SLOW.1);
        let rest = rest_after(took).saturating_mul(1 << self.runaways);
        self.runaways = (self.runaways + 1).min(RUNAWAYS_MAX);
        rest
    }

    /// The work came to its end.
    pub fn ended_well(&mut self) {
        self.runaways = 0;
    }

    pub fn messages(&self) -> usize {
        let fit = ACTIVATION_NS / self.each_ns.max(1);
        usize::try_from(fit).unwrap_or(ACTIVATION).clamp(1, ACTIVATION)
    }

    /// How many messages to time together: reading the clock takes longer than some of them.
    pub fn timed_together(&self) -> u64 {
        if (1..QUICK.0).contains(&self.each_ns) { QUICK.1 } else { 1 }
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
    fn whoever_runs_away_again_and_again_rests_ever_longer() {
        let mut pace = Pace::default();
        let took = Duration::from_millis(100);
        let rests: Vec<_> = (0..6).map(|_| pace.ran_away(took).as_millis()).collect();
        assert_eq!(rests, [900, 1_800, 3_600, 7_200, 14_400, 14_400]);
        assert!(pace.is_slow(), "once is enough");
        pace.ended_well();
        assert_eq!(pace.ran_away(took).as_millis(), 900);
    }

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
