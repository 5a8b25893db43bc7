//! Reading history: the resolution that fits the question, joined into steps of the wanted length.

use std::collections::BTreeMap;

use bytes::Bytes;
use tidewire_model::Value;
use tidewire_node_api::handles::{HandleError, Projections as _};

use super::chunk::{Bucket, Chunk, Resolution};
use super::{History, NAME, chunk_key, names_key};

/// Most buckets of one answer.
pub const POINTS_MAX: i64 = 10_000;
/// Most stored buckets that are joined for one answer.
const BUCKETS_MAX: i64 = 100_000;
/// Lengths of a step that people like, in seconds; then whole days.
const STEPS: [i64; 20] = [
    1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800,
];

/// What is asked for; times in milliseconds since 1970.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    pub from: i64,
    pub to: i64,
    /// Length of a step in seconds; else as many points as are wanted.
    pub step: Option<i64>,
    pub points: i64,
}

/// A stretch of history.
#[derive(Debug, Clone, PartialEq)]
pub struct Range {
    /// Seconds between the beginnings of two buckets.
    pub step: i64,
    /// What it was made from.
    pub resolution: Resolution,
    /// In order of time; stretches without a reading are left out.
    pub buckets: Vec<Bucket>,
}

impl Asked {
    /// The step in seconds.
    fn step(&self) -> i64 {
        let span = self.to.saturating_sub(self.from).max(1) / 1_000;
        if let Some(step) = self.step {
            return step.max(1).max(span / POINTS_MAX);
        }
        let exact = (span / self.points.clamp(1, POINTS_MAX)).max(1);
        let nice = STEPS.into_iter().find(|step| *step >= exact);
        nice.unwrap_or_else(|| exact.div_euclid(86_400).saturating_add(1).saturating_mul(86_400))
    }
}

impl History {
    /// The numeric properties of a thing that have a history.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn properties(&self, thing: &str) -> Result<Vec<String>, HandleError> {
        let found = self.projections.get(NAME, &names_key(thing)).await?;
        let value = found.map(|entry| entry.value).unwrap_or_default();
        Ok(value.as_array().unwrap_or_default().iter().filter_map(Value::as_str).map(str::to_owned).collect())
    }

    /// The coarsest resolution that is fine enough, unless it is not kept for so long.
    fn resolution(&self, step: i64, asked: &Asked, now: i64) -> Resolution {
        let mut resolution =
            Resolution::ALL.into_iter().rfind(|one| one.bucket() <= step * 1_000).unwrap_or(Resolution::Second);
        for one in Resolution::ALL {
            let kept = self.keeping.of(one).is_none_or(|keep| asked.from >= now.saturating_sub(keep));
            let few = asked.to.saturating_sub(asked.from) / one.bucket() <= BUCKETS_MAX;
            if one >= resolution && kept && few {
                return one;
            }
        }
        resolution = resolution.max(Resolution::Day);
        resolution
    }

    /// The history of one property.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn read(&self, thing: &str, property: &str, asked: Asked, now: i64) -> Result<Range, HandleError> {
        let step = asked.step();
        let resolution = self.resolution(step, &asked, now);
        let step = step.max(resolution.bucket() / 1_000);
        let chunk = resolution.chunk();
        let first = asked.from.div_euclid(chunk);
        let last = asked.to.saturating_sub(1).div_euclid(chunk).min(first.saturating_add(BUCKETS_MAX));
        let keys = (first..=last).map(|index| chunk_key(thing, property, resolution, index.saturating_mul(chunk)));
        let entries = self.projections.many(NAME, keys.collect()).await?;
        let mut joined: BTreeMap<i64, Bucket> = BTreeMap::new();
        for entry in entries {
            let stored = if let Value::Bytes(bytes) = entry.value { bytes } else { Bytes::new() };
            for bucket in Chunk::read(resolution, stored).buckets {
                if bucket.time.saturating_add(resolution.bucket()) <= asked.from || bucket.time >= asked.to {
                    continue;
                }
                let time = bucket.time.div_euclid(step * 1_000).saturating_mul(step * 1_000);
                match joined.get_mut(&time) {
                    Some(known) => known.merge(&bucket),
                    None => drop(joined.insert(time, Bucket { time, ..bucket })),
                }
            }
        }
        Ok(Range { step, resolution, buckets: joined.into_values().collect() })
    }
}
