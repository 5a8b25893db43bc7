//! Numbers that look random and can be repeated.
#![allow(dead_code, reason = "every test uses a part of it")]

/// How often something is to happen: `FAULT_ROUNDS` instead of the few rounds of a quick run.
pub fn rounds(quick: u64) -> u64 {
    setting("FAULT_ROUNDS").unwrap_or(quick)
}

/// Whether everything is to be tried that can be counted: not in quick runs, nor in those of few rounds.
pub fn in_full() -> bool {
    rounds(0) >= 100
}

/// The seed of a run: `FAULT_SEED`, or another one each time.
pub fn seed() -> u64 {
    setting("FAULT_SEED").unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        now.as_micros() as u64
    })
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

/// A xorshift generator.
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        // Seeds that are close to each other shall not begin alike.
        let mut dice = Self((seed ^ 0x9E37_79B9_7F4A_7C15).wrapping_mul(0xBF58_476D_1CE4_E5B9) | 1);
        for _ in 0..8 {
            dice.next();
        }
        dice
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    /// True in so many of a hundred cases.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }

    /// Something in so many of a hundred cases.
    pub fn maybe<T>(&mut self, percent: u64, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.percent(percent).then(|| make(self))
    }
}
