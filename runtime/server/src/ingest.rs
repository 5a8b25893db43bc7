//! How many events one user or token may append over HTTP: a bucket for each that fills at a steady rate.

use std::collections::HashMap;
use std::time::Instant;

use parking_lot::Mutex;

/// A burst may be as large as what comes together in so many seconds.
const BURST_SECONDS: f64 = 10.0;
/// Buckets that are kept; full ones go first, since a new one is full as well.
const BUCKETS_MAX: usize = 10_000;

/// The buckets; without a rate everything passes.
pub struct Ingest {
    per_second: Option<f64>,
    buckets: Mutex<HashMap<String, Bucket>>,
}

#[derive(Clone, Copy)]
struct Bucket {
    /// How many events may come now. Below zero after a batch that was larger than what was left.
    left: f64,
    at: Instant,
}

impl Ingest {
    pub fn new(per_second: Option<u32>) -> Self {
        Ingest { per_second: per_second.map(f64::from), buckets: Mutex::default() }
    }

    /// Takes events out of a source's bucket; answers after how many seconds to come again when there is nothing left. A
    /// batch that is larger than a burst passes once the bucket is full, and is paid for afterwards.
    ///
    /// # Errors
    /// The seconds to wait.
    pub fn take(&self, source: &str, events: usize, now: Instant) -> Result<(), u64> {
        let Some(rate) = self.per_second else { return Ok(()) };
        let burst = rate * BURST_SECONDS;
        let filled =
            |bucket: &Bucket| (bucket.left + now.saturating_duration_since(bucket.at).as_secs_f64() * rate).min(burst);
        let mut buckets = self.buckets.lock();
        if buckets.len() >= BUCKETS_MAX && !buckets.contains_key(source) {
            buckets.retain(|_, bucket| filled(bucket) < burst);
        }
        let left = buckets.get(source).map_or(burst, filled);
        let wanted = (events as f64).min(burst);
        if left < wanted {
            return Err(((wanted - left) / rate).ceil().max(1.0) as u64);
        }
        buckets.insert(source.to_owned(), Bucket { left: left - events as f64, at: now });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_source_that_sends_too_much_waits_and_others_do_not() {
        let (ingest, start) = (Ingest::new(Some(5)), Instant::now());
        let after = |seconds: u64| start + Duration::from_secs(seconds);
        assert_eq!(ingest.take("a", 50, start), Ok(()), "a burst");
        assert_eq!(ingest.take("a", 1, start), Err(1));
        assert_eq!(ingest.take("a", 20, after(1)), Err(3));
        assert_eq!(ingest.take("b", 20, after(1)), Ok(()));
        assert_eq!(ingest.take("a", 20, after(4)), Ok(()));
        assert_eq!(ingest.take("a", 500, after(60)), Ok(()), "a large batch passes when nothing was sent for long");
        assert_eq!(ingest.take("a", 1, after(61)), Err(90), "and is paid for afterwards");
        assert_eq!(Ingest::new(None).take("a", usize::MAX, start), Ok(()));
    }
}
