//! Pauses between attempts that grow and are spread, so that many nodes do not try again at the same moment.

/// Shortest and longest pause, in milliseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backoff {
    pub(crate) first_ms: i64,
    pub(crate) longest_ms: i64,
}

impl Backoff {
    /// The pause after attempt number `attempt` (from 1): between half and all of the doubled pause.
    pub(crate) fn pause_ms(self, attempt: u32, random: u64) -> i64 {
        let doubled = self.first_ms.saturating_mul(1_i64 << attempt.saturating_sub(1).min(30)).min(self.longest_ms);
        let half = doubled / 2;
        half + i64::try_from(random % u64::try_from(half + 1).unwrap_or(1)).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_are_spread_over_their_upper_half() {
        let backoff = Backoff { first_ms: 1_000, longest_ms: 60_000 };
        for (attempt, full) in [(1, 1_000), (2, 2_000), (5, 16_000), (7, 60_000), (4_000_000_000, 60_000)] {
            for random in [0, 1, 499, 12_345, u64::MAX] {
                let pause = backoff.pause_ms(attempt, random);
                assert!((full / 2..=full).contains(&pause), "{attempt}: {pause}");
            }
        }
    }
}
