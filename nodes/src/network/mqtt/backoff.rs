//! Pauses between attempts to connect: growing, with chance in them, so that many clients do not come back at once.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

#[derive(Debug)]
pub(super) struct Backoff {
    min: Duration,
    max: Duration,
    attempt: u32,
}

impl Backoff {
    pub(super) fn new(min: Duration, max: Duration) -> Self {
        Self { min, max: max.max(min), attempt: 0 }
    }

    /// The next pause: between half of the grown value and all of it.
    pub(super) fn next(&mut self) -> Duration {
        let grown = self.min.saturating_mul(1 << self.attempt.min(16)).min(self.max);
        self.attempt = self.attempt.saturating_add(1);
        // A fresh hash state is the standard library's only source of chance; quality does not matter here.
        let chance = RandomState::new().hash_one(self.attempt) % 1000;
        grown / 2 + grown.mul_f64(chance as f64 / 2000.0)
    }

    /// The last connection held: start small again.
    pub(super) fn reset(&mut self) {
        self.attempt = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_the_limit_and_start_again() {
        let (min, max) = (Duration::from_millis(100), Duration::from_secs(5));
        let mut backoff = Backoff::new(min, max);
        let pauses: Vec<_> = (0..40).map(|_| backoff.next()).collect();
        assert!(pauses.iter().all(|pause| *pause >= min / 2 && *pause <= max));
        assert!(pauses.iter().skip(8).all(|pause| *pause >= max / 2), "the limit is reached and kept");
        backoff.reset();
        assert!(backoff.next() <= min);
    }
}
