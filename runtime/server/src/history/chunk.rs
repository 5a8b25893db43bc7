//! Buckets packed into bytes: one property, one resolution, one stretch of time.

use std::collections::BTreeSet;

use bytes::{Buf, Bytes};
use tidewire_model::Value;
use tidewire_model::event::Event;
use tidewire_model::value::codec::{read_number, write_number};
use tidewire_node_api::cell::Cell;

use super::PROPERTIES_MAX;

/// How long a bucket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resolution {
    Second,
    Minute,
    Hour,
    Day,
}

impl Resolution {
    /// From fine to coarse.
    pub const ALL: [Resolution; 4] = [Resolution::Second, Resolution::Minute, Resolution::Hour, Resolution::Day];

    /// Milliseconds of a bucket.
    #[must_use]
    pub const fn bucket(self) -> i64 {
        match self {
            Resolution::Second => 1_000,
            Resolution::Minute => 60_000,
            Resolution::Hour => 3_600_000,
            Resolution::Day => 86_400_000,
        }
    }

    /// Milliseconds of a chunk. A chunk is written anew with each commit that touches it, so coarse ones hold few buckets.
    pub(super) const fn chunk(self) -> i64 {
        self.bucket()
            * match self {
                Resolution::Second => 300,
                Resolution::Minute => 30,
                Resolution::Hour => 24,
                Resolution::Day => 32,
            }
    }

    pub(super) const fn letter(self) -> char {
        match self {
            Resolution::Second => 's',
            Resolution::Minute => 'm',
            Resolution::Hour => 'h',
            Resolution::Day => 'd',
        }
    }

    /// From the last part of a key.
    pub(super) fn of(text: &str) -> Option<Resolution> {
        Self::ALL.into_iter().find(|resolution| text.starts_with(resolution.letter()))
    }
}

/// What is known of a stretch of time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    /// When it begins, milliseconds since 1970.
    pub time: i64,
    pub count: u64,
    pub min: f64,
    pub max: f64,
    pub sum: f64,
    pub last: f64,
    /// Time of the last value.
    pub last_time: i64,
}

impl Bucket {
    fn new(time: i64, value: f64, at: i64) -> Bucket {
        Bucket { time, count: 1, min: value, max: value, sum: value, last: value, last_time: at }
    }

    /// Takes over what another one counted.
    pub(super) fn merge(&mut self, other: &Bucket) {
        self.count += other.count;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.sum += other.sum;
        if other.last_time >= self.last_time {
            (self.last, self.last_time) = (other.last, other.last_time);
        }
    }

    #[must_use]
    pub fn mean(&self) -> f64 {
        self.sum / self.count.max(1) as f64
    }
}

/// The buckets of one chunk, in order of time.
pub(super) struct Chunk {
    resolution: Resolution,
    pub(super) buckets: Vec<Bucket>,
}

impl Chunk {
    /// From what is stored. What cannot be read is nothing: it is built anew with the next rebuild.
    pub(super) fn read(resolution: Resolution, stored: Bytes) -> Chunk {
        Chunk { resolution, buckets: decode(resolution, stored).unwrap_or_default() }
    }
}

/// Numbers of up to three decimals as whole thousandths, which take two or three bytes; others whole.
fn put(number: f64, out: &mut Vec<u8>) {
    let scaled = number * 1_000.0;
    if scaled.abs() < 1.0e12 && (scaled.round() / 1_000.0).to_bits() == number.to_bits() {
        let scaled = scaled.round() as i64;
        write_number((((scaled << 1) ^ (scaled >> 63)) as u64) << 1, out);
    } else {
        write_number(1, out);
        out.extend_from_slice(&number.to_le_bytes());
    }
}

fn get(bytes: &mut Bytes) -> Option<f64> {
    match read_number(bytes).ok()? {
        1 => (bytes.remaining() >= 8).then(|| bytes.get_f64_le()),
        scaled => {
            let scaled = scaled >> 1;
            Some(((scaled >> 1) as i64 ^ -((scaled & 1) as i64)) as f64 / 1_000.0)
        }
    }
}

fn encode(resolution: Resolution, buckets: &[Bucket]) -> Vec<u8> {
    let Some(first) = buckets.first() else { return Vec::new() };
    let start = first.time.div_euclid(resolution.chunk()).saturating_mul(resolution.chunk());
    let mut out = start.to_le_bytes().to_vec();
    for bucket in buckets {
        let index = (bucket.time - start) / resolution.bucket();
        write_number(u64::try_from(index).unwrap_or(0), &mut out);
        write_number(bucket.count, &mut out);
        write_number(u64::try_from(bucket.last_time - bucket.time).unwrap_or(0), &mut out);
        put(bucket.last, &mut out);
        if bucket.count > 1 {
            [bucket.min, bucket.max, bucket.sum].into_iter().for_each(|number| put(number, &mut out));
        }
    }
    out
}

fn decode(resolution: Resolution, mut bytes: Bytes) -> Option<Vec<Bucket>> {
    let mut buckets = Vec::new();
    if bytes.is_empty() {
        return Some(buckets);
    }
    let start = bytes.try_get_i64_le().ok()?;
    while bytes.has_remaining() {
        let index = i64::try_from(read_number(&mut bytes).ok()?).ok()?;
        let time = start.checked_add(index.checked_mul(resolution.bucket())?)?;
        let count = read_number(&mut bytes).ok()?;
        let last_time = time.checked_add_unsigned(read_number(&mut bytes).ok()?)?;
        let last = get(&mut bytes)?;
        let mut bucket = Bucket { count, last_time, ..Bucket::new(time, last, last_time) };
        if count > 1 {
            (bucket.min, bucket.max, bucket.sum) = (get(&mut bytes)?, get(&mut bytes)?, get(&mut bytes)?);
        }
        buckets.push(bucket);
    }
    Some(buckets)
}

impl Cell for Chunk {
    fn apply(&mut self, input: Value, event: &Event) -> Result<(), String> {
        let value = input.as_f64().ok_or("no number")?;
        let length = self.resolution.bucket();
        let time = event.time.div_euclid(length).saturating_mul(length);
        let one = Bucket::new(time, value, event.time);
        // Nearly always the last one.
        match self.buckets.iter().rposition(|bucket| bucket.time <= time) {
            Some(place) => match self.buckets.get_mut(place) {
                Some(bucket) if bucket.time == time => bucket.merge(&one),
                _ => self.buckets.insert(place + 1, one),
            },
            None => self.buckets.insert(0, one),
        }
        Ok(())
    }

    fn state(&self) -> Value {
        Value::Bytes(encode(self.resolution, &self.buckets).into())
    }

    fn shown(&self) -> Value {
        self.state()
    }

    fn exists(&self) -> bool {
        !self.buckets.is_empty()
    }

    fn weight(&self) -> usize {
        self.buckets.len() * size_of::<Bucket>() + 64
    }
}

/// The numeric properties of a thing.
pub(super) struct Names {
    names: BTreeSet<String>,
    changed: bool,
}

impl Names {
    pub(super) fn read(state: &Value) -> Names {
        let names = state.as_array().unwrap_or_default().iter().filter_map(Value::as_str).map(str::to_owned).collect();
        Names { names, changed: false }
    }
}

impl Cell for Names {
    fn apply(&mut self, input: Value, _event: &Event) -> Result<(), String> {
        let name = input.as_str().unwrap_or_default();
        self.changed = !self.names.contains(name);
        if self.changed {
            if self.names.len() >= PROPERTIES_MAX {
                return Err(format!("a thing has more than {PROPERTIES_MAX} numeric properties"));
            }
            self.names.insert(name.to_owned());
        }
        Ok(())
    }

    fn changed(&self) -> bool {
        self.changed
    }

    fn state(&self) -> Value {
        Value::array(self.names.iter().map(Value::string).collect())
    }

    fn shown(&self) -> Value {
        self.state()
    }

    fn exists(&self) -> bool {
        !self.names.is_empty()
    }

    fn weight(&self) -> usize {
        self.names.iter().map(|name| name.len() + 48).sum::<usize>() + 64
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_packed_comes_back() {
        let resolution = Resolution::Minute;
        let start = 1_700_000_000_000 / resolution.chunk() * resolution.chunk();
        let values = [21.5, -0.001, 0.0, 1e300, -7.123_456_789, 1_234_567.891, f64::MIN_POSITIVE];
        let buckets: Vec<Bucket> = (0..30)
            .zip(values.into_iter().cycle())
            .map(|(n, value)| {
                let mut bucket = Bucket::new(start + n * 60_000, value, start + n * 60_000 + 59_999);
                if n % 3 == 0 {
                    bucket.merge(&Bucket::new(0, value / 3.0, 0));
                }
                bucket
            })
            .collect();
        let bytes = encode(resolution, &buckets);
        assert_eq!(decode(resolution, bytes.clone().into()).unwrap(), buckets);
        assert!(bytes.len() < 1_200, "{}", bytes.len());
        assert!(decode(resolution, Bytes::from_static(b"1234567890")).is_none());
    }
}
