//! How values are spread: counts between bounds, and percentiles.
//!
//! Without given bounds, buckets grow by 2 % each, so percentiles are right to 1 % of the value, whatever its size.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tidewire_model::event::Event;
use tidewire_model::{Map, Value};

use super::{Folded, Sum, as_f64};

/// Each automatic bucket is so much wider than the one before.
const GROWTH: f64 = 1.02;
/// Automatic buckets of one key; beyond, the smallest values share one.
const BUCKETS_MAX: usize = 2_048;
const PERCENTILES: [(&str, f64); 4] = [("p50", 0.50), ("p90", 0.90), ("p95", 0.95), ("p99", 0.99)];

/// Where buckets end.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(in super::super) enum Buckets {
    Automatic,
    /// Upper bounds, ascending; one more bucket takes what is above.
    Given(Vec<f64>),
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(in super::super) struct Histogram {
    count: u64,
    sum: Sum,
    min: f64,
    max: f64,
    /// Counts by number of bucket. Automatic ones: 0 is zero, positive ones are above, negative ones below.
    counts: BTreeMap<i32, u64>,
}

/// The automatic bucket of a value.
fn bucket_of(value: f64) -> i32 {
    if value == 0.0 {
        return 0;
    }
    // ±20,000 buckets reach from 1e-172 to 1e172.
    let step = ((value.abs().ln() / GROWTH.ln()).ceil()).clamp(-20_000.0, 20_000.0) as i32 + 20_001;
    if value > 0.0 { step } else { -step }
}

/// The bounds of an automatic bucket.
fn bounds_of(bucket: i32) -> (f64, f64) {
    if bucket == 0 {
        return (0.0, 0.0);
    }
    let step = bucket.abs() - 20_001;
    let (low, high) = (GROWTH.powi(step - 1), GROWTH.powi(step));
    if bucket > 0 { (low, high) } else { (-high, -low) }
}

impl Folded for Histogram {
    type Plan = Buckets;

    fn apply(&mut self, plan: &Buckets, input: Value, _event: &Event) -> Result<(), String> {
        let value = as_f64(&input);
        self.min = if self.count == 0 { value } else { self.min.min(value) };
        self.max = if self.count == 0 { value } else { self.max.max(value) };
        self.count += 1;
        self.sum.add(&input);
        let bucket = match plan {
            Buckets::Automatic => bucket_of(value),
            Buckets::Given(bounds) => i32::try_from(bounds.partition_point(|bound| *bound < value)).unwrap_or(i32::MAX),
        };
        *self.counts.entry(bucket).or_default() += 1;
        if self.counts.len() > BUCKETS_MAX {
            // The two nearest to zero become one.
            let near = self.counts.keys().map(|bucket| (bucket.abs(), *bucket)).min().map_or(0, |(_, bucket)| bucket);
            let count = self.counts.remove(&near).unwrap_or(0);
            let next =
                self.counts.keys().map(|bucket| (bucket.abs(), *bucket)).min().map_or(near, |(_, bucket)| bucket);
            *self.counts.entry(next).or_default() += count;
        }
        Ok(())
    }

    fn shown(&self, plan: &Buckets) -> Value {
        let mut map = Map::with_capacity(10);
        map.insert("count", self.count);
        map.insert("sum", self.sum.value());
        map.insert("min", self.min);
        map.insert("max", self.max);
        map.insert("mean", self.sum.float() / self.count.max(1) as f64);
        for (name, share) in PERCENTILES {
            map.insert(name, self.percentile(plan, share));
        }
        if let Buckets::Given(bounds) = plan {
            let buckets = (0..=bounds.len()).map(|index| {
                let count = i32::try_from(index).ok().and_then(|index| self.counts.get(&index)).copied().unwrap_or(0);
                let mut bucket = Map::with_capacity(2);
                bucket.insert("to", bounds.get(index).map_or(Value::Null, |bound| Value::Float(*bound)));
                bucket.insert("count", count);
                Value::object(bucket)
            });
            map.insert("buckets", Value::array(buckets.collect()));
        }
        Value::object(map)
    }

    fn weight(&self) -> usize {
        self.counts.len() * 24 + 96
    }
}

impl Histogram {
    /// The value below which this share lies, spread evenly within its bucket.
    fn percentile(&self, plan: &Buckets, share: f64) -> f64 {
        let rank = share * self.count as f64;
        let mut before = 0.0;
        for (bucket, count) in &self.counts {
            let count = *count as f64;
            if before + count >= rank {
                let (low, high) = self.bounds(plan, *bucket);
                let (low, high) = (low.max(self.min), high.min(self.max));
                return low + (high - low).max(0.0) * ((rank - before) / count).clamp(0.0, 1.0);
            }
            before += count;
        }
        self.max
    }

    fn bounds(&self, plan: &Buckets, bucket: i32) -> (f64, f64) {
        match plan {
            Buckets::Automatic => bounds_of(bucket),
            Buckets::Given(bounds) => {
                let index = usize::try_from(bucket).unwrap_or(0);
                let low = index.checked_sub(1).and_then(|before| bounds.get(before)).copied().unwrap_or(self.min);
                (low, bounds.get(index).copied().unwrap_or(self.max))
            }
        }
    }
}
