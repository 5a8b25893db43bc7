//! Records about nodes as they stand in the log, such as those that nodes keep: `node/<node id>/<key>`.
//!
//! Id and key stand in the value too, so that a key of the log may be shortened and taken apart by nobody.

use std::collections::{BTreeMap, HashMap};

use bytes::{BufMut, Bytes, BytesMut};
use compact_str::{CompactString, format_compact};
use parking_lot::Mutex;
use tidewire_model::NodeId;
use tidewire_model::append::StateChange;
use tidewire_node_api::handles::{HandleError, Log};

/// Prefix of the records that nodes keep.
const KEPT: &str = "node/";

/// Records of one node, by key.
pub type Records = BTreeMap<CompactString, Bytes>;

/// The change that stores or removes a record that a node keeps.
pub fn change(node: &NodeId, key: &str, value: Option<&Bytes>) -> StateChange {
    change_of(KEPT, node, key, value)
}

/// The change that stores or removes a record about a node, of the kind that `prefix` names.
pub fn change_of(prefix: &str, node: &NodeId, key: &str, value: Option<&Bytes>) -> StateChange {
    StateChange { key: log_key(prefix, node, key), value: value.map(|value| framed(node, key, value)) }
}

/// All records of a kind, by node.
///
/// # Errors
/// When the log cannot be read.
pub async fn read_all(log: &dyn Log, prefix: &str) -> Result<HashMap<NodeId, Records>, HandleError> {
    let mut all: HashMap<NodeId, Records> = HashMap::new();
    for (key, value) in log.records(prefix).await? {
        match unframed(&value) {
            Some((node, key, value)) => {
                all.entry(node).or_default().insert(key, value);
            }
            None => tracing::error!(key = %key, "record of a node is damaged, left out"),
        }
    }
    Ok(all)
}

fn log_key(prefix: &str, node: &NodeId, key: &str) -> CompactString {
    let plain = format_compact!("{prefix}{node}/{key}");
    if plain.len() <= StateChange::MAX_KEY {
        return plain;
    }
    format_compact!("{prefix}#{:032x}", fnv128(plain.as_bytes()))
}

/// FNV-1a, 128 bits: shortens a key. Not for security.
fn fnv128(bytes: &[u8]) -> u128 {
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    let start = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    bytes.iter().fold(start, |hash, byte| (hash ^ u128::from(*byte)).wrapping_mul(PRIME))
}

fn framed(node: &NodeId, key: &str, value: &Bytes) -> Bytes {
    let mut out = BytesMut::with_capacity(8 + node.as_str().len() + key.len() + value.len());
    for text in [node.as_str(), key] {
        out.put_u32_le(u32::try_from(text.len()).unwrap_or(u32::MAX));
        out.put_slice(text.as_bytes());
    }
    out.put_slice(value);
    out.freeze()
}

fn unframed(value: &Bytes) -> Option<(NodeId, CompactString, Bytes)> {
    let mut rest = value.clone();
    let mut text = || {
        let length = usize::try_from(u32::from_le_bytes(*rest.first_chunk::<4>()?)).ok()?;
        let _ = rest.split_to(4);
        let text = (rest.len() >= length).then(|| rest.split_to(length))?;
        std::str::from_utf8(&text).ok().map(CompactString::from)
    };
    let (node, key) = (text()?, text()?);
    Some((NodeId::from(node.as_str()), key, rest))
}

/// Records of nodes that do not run now: those of the last run until the nodes start, and those of nodes that are
/// switched off.
#[derive(Default)]
pub struct Dormant(Mutex<HashMap<NodeId, Records>>);

impl Dormant {
    /// Reads all records of the log.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn read(&self, log: &dyn Log) -> Result<(), HandleError> {
        let all = read_all(log, KEPT).await?;
        *self.0.lock() = all;
        Ok(())
    }

    pub fn wake(&self, node: &NodeId) -> Records {
        self.0.lock().remove(node).unwrap_or_default()
    }

    pub fn put_to_sleep(&self, node: NodeId, records: Records) {
        if !records.is_empty() {
            self.0.lock().insert(node, records);
        }
    }

    /// Takes out the records of all nodes that are gone for good.
    pub fn take_gone(&self, exists: impl Fn(&NodeId) -> bool) -> Vec<(NodeId, Records)> {
        self.0.lock().extract_if(|node, _| !exists(node)).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_record_knows_whose_it_is_however_long_or_odd_its_name() {
        for (node, key) in [("n", "held/1"), ("a/b", "c"), ("n", &"k".repeat(500))] {
            let (node, value) = (NodeId::from(node), Bytes::from_static(b"\0value"));
            let change = change(&node, key, Some(&value));
            assert!(change.key.len() <= StateChange::MAX_KEY);
            assert_eq!(unframed(&change.value.unwrap()), Some((node, key.into(), value)));
        }
        assert_eq!(unframed(&Bytes::from_static(b"\xff\xff\xff\xff")), None);
    }
}
