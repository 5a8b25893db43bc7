//! How many different values there were: exact up to a bound, then an estimate (HyperLogLog) of a fixed size.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tidewire_model::Value;
use tidewire_model::event::Event;

use super::Folded;
use crate::shared::fnv::fnv64;

/// Up to so many different values the count is exact.
const EXACT_MAX: usize = 1_000;
/// 2^12 registers: a standard error of 1.6 %.
const BITS: u32 = 12;
const REGISTERS: usize = 1 << BITS;

pub(in super::super) enum Distinct {
    /// Hashes of the values.
    Exact(BTreeSet<u64>),
    Estimate(Vec<u8>),
}

impl Default for Distinct {
    fn default() -> Self {
        Distinct::Exact(BTreeSet::new())
    }
}

/// Spreads the bits of a hash (the finisher of SplitMix64).
fn mixed(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

fn note(registers: &mut [u8], hash: u64) {
    let index = usize::try_from(hash >> (64 - BITS)).unwrap_or(0);
    let rank = u8::try_from((hash << BITS).leading_zeros().min(64 - BITS) + 1).unwrap_or(u8::MAX);
    if let Some(register) = registers.get_mut(index) {
        *register = (*register).max(rank);
    }
}

fn estimate(registers: &[u8]) -> f64 {
    let size = registers.len() as f64;
    let sum: f64 = registers.iter().map(|rank| 2_f64.powi(-i32::from(*rank))).sum();
    let raw = 0.7213 / (1.0 + 1.079 / size) * size * size / sum;
    let empty = registers.iter().filter(|rank| **rank == 0).count();
    if raw <= 2.5 * size && empty > 0 { size * (size / empty as f64).ln() } else { raw }
}

impl Folded for Distinct {
    type Plan = ();

    fn apply(&mut self, _plan: &(), input: Value, _event: &Event) -> Result<(), String> {
        let hash = mixed(fnv64(input.resolved().to_json().as_bytes()));
        match self {
            Distinct::Estimate(registers) => note(registers, hash),
            Distinct::Exact(hashes) => {
                hashes.insert(hash);
                if hashes.len() > EXACT_MAX {
                    let mut registers = vec![0; REGISTERS];
                    hashes.iter().for_each(|hash| note(&mut registers, *hash));
                    *self = Distinct::Estimate(registers);
                }
            }
        }
        Ok(())
    }

    fn shown(&self, _plan: &()) -> Value {
        match self {
            Distinct::Exact(hashes) => Value::Int(i64::try_from(hashes.len()).unwrap_or(i64::MAX)),
            Distinct::Estimate(registers) => Value::Int(estimate(registers).round() as i64),
        }
    }

    fn weight(&self) -> usize {
        match self {
            Distinct::Exact(hashes) => hashes.len() * 16,
            Distinct::Estimate(registers) => registers.len(),
        }
    }
}

/// As one text: `=` and the hashes, or `~` and the registers.
impl Serialize for Distinct {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (kind, bytes) = match self {
            Distinct::Exact(hashes) => ("=", hashes.iter().flat_map(|hash| hash.to_le_bytes()).collect()),
            Distinct::Estimate(registers) => ("~", registers.clone()),
        };
        serializer.serialize_str(&format!("{kind}{}", BASE64_STANDARD.encode(bytes)))
    }
}

impl<'de> Deserialize<'de> for Distinct {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let (kind, rest) = text.split_at_checked(1).unwrap_or(("", ""));
        let bytes = BASE64_STANDARD.decode(rest).map_err(serde::de::Error::custom)?;
        match kind {
            "=" => {
                let hashes = bytes.chunks_exact(8).filter_map(|chunk| chunk.first_chunk().copied());
                Ok(Distinct::Exact(hashes.map(u64::from_le_bytes).collect()))
            }
            "~" if bytes.len() == REGISTERS => Ok(Distinct::Estimate(bytes)),
            _ => Err(serde::de::Error::custom("no count of different values")),
        }
    }
}
