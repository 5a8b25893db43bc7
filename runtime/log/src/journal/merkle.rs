//! Hash trees over what a segment holds.
//!
//! The leaves of a record are its head fields, its events and its state changes; their root is a leaf of the
//! segment, whose root the next segment's head keeps. Part of a tree can be replaced by the hashes of the subtrees
//! that cover it, and the root stays what it was. The shape of a tree is that of RFC 6962.

use sha2::{Digest, Sha256};

/// A SHA-256.
pub(crate) type Hash = [u8; 32];

/// The hash of an item.
pub(crate) fn leaf_hash(item: &[u8]) -> Hash {
    let mut hash = Sha256::new();
    hash.update([0]);
    hash.update(item);
    hash.finalize().into()
}

fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let mut hash = Sha256::new();
    hash.update([1]);
    hash.update(left);
    hash.update(right);
    hash.finalize().into()
}

/// A complete subtree: the hash over 2^`height` neighbouring leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Subtree {
    pub(crate) height: u8,
    pub(crate) hash: Hash,
}

/// A tree that grows by one leaf at a time and keeps only its complete subtrees.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tree {
    leaves: u64,
    /// Complete subtrees from left to right, ever lower.
    parts: Vec<Subtree>,
}

impl Tree {
    /// Adds a leaf.
    pub(crate) fn push(&mut self, hash: Hash) {
        self.join(Subtree { height: 0, hash });
    }

    /// Adds a complete subtree. False when it cannot stand here.
    pub(crate) fn push_subtree(&mut self, part: Subtree) -> bool {
        let fits = part.height < 63 && self.leaves.is_multiple_of(1 << part.height);
        if fits {
            self.join(part);
        }
        fits
    }

    fn join(&mut self, mut part: Subtree) {
        self.leaves += 1 << part.height;
        while let Some(left) = self.parts.pop_if(|left| left.height == part.height) {
            part = Subtree { height: part.height + 1, hash: node_hash(&left.hash, &part.hash) };
        }
        self.parts.push(part);
    }

    /// The root; zeroes when there is no leaf.
    pub(crate) fn root(&self) -> Hash {
        let mut parts = self.parts.iter().rev().map(|part| part.hash);
        let Some(last) = parts.next() else { return [0; 32] };
        parts.fold(last, |right, left| node_hash(&left, &right))
    }
}

/// The root over items.
pub(crate) fn root_of<'a>(items: impl IntoIterator<Item = &'a [u8]>) -> Hash {
    let mut tree = Tree::default();
    items.into_iter().for_each(|item| tree.push(leaf_hash(item)));
    tree.root()
}

/// Gathers neighbouring leaves, or subtrees, into as few subtrees as can stand where they begin.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Run {
    /// Which leaf comes first.
    pub(crate) first: u64,
    /// What covers the leaves, from left to right.
    pub(crate) parts: Vec<Subtree>,
}

impl Run {
    /// A run that begins with a leaf.
    pub(crate) const fn at(first: u64) -> Self {
        Self { first, parts: Vec::new() }
    }

    /// How many leaves it covers.
    pub(crate) fn leaves(&self) -> u64 {
        self.parts.iter().map(|part| 1_u64.checked_shl(part.height.into()).unwrap_or(0)).fold(0, u64::saturating_add)
    }

    /// Adds the next leaf or subtree.
    pub(crate) fn push(&mut self, mut part: Subtree) {
        let mut begin = self.first + self.leaves();
        // Two of a height become one where the left one stands on the boundary of the higher.
        while let Some(left) = self.parts.pop_if(|left| {
            left.height == part.height && begin.wrapping_sub(1 << part.height).is_multiple_of(2 << part.height)
        }) {
            begin -= 1 << part.height;
            part = Subtree { height: part.height + 1, hash: node_hash(&left.hash, &part.hash) };
        }
        self.parts.push(part);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    fn leaves(count: u8) -> Vec<Hash> {
        (0..count).map(|n| leaf_hash(&[n])).collect()
    }

    /// The definition of RFC 6962.
    fn definition(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => [0; 32],
            [one] => *one,
            _ => {
                let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
                node_hash(&definition(left), &definition(right))
            }
        }
    }

    #[test]
    fn a_growing_tree_has_the_root_of_the_definition() {
        for count in 0..40 {
            let leaves = leaves(count);
            let mut tree = Tree::default();
            leaves.iter().for_each(|leaf| tree.push(*leaf));
            assert_eq!((tree.root(), tree.leaves), (definition(&leaves), u64::from(count)));
        }
    }

    #[test]
    fn the_root_stays_when_any_run_is_replaced_by_its_subtrees() {
        for count in 1..24_usize {
            let leaves = leaves(u8::try_from(count).unwrap());
            for (begin, end) in (0..count).flat_map(|begin| (begin + 1..=count).map(move |end| (begin, end))) {
                let mut run = Run::at(begin as u64);
                // Runs are made of leaves, and of runs that were made before.
                let middle = begin + (end - begin) / 2;
                let mut before = Run::at(begin as u64);
                leaves[begin..middle].iter().for_each(|hash| before.push(Subtree { height: 0, hash: *hash }));
                before.parts.into_iter().for_each(|part| run.push(part));
                leaves[middle..end].iter().for_each(|hash| run.push(Subtree { height: 0, hash: *hash }));
                assert_eq!(run.leaves(), (end - begin) as u64);
                assert!(run.parts.len() <= 8);
                let mut tree = Tree::default();
                leaves[..begin].iter().for_each(|leaf| tree.push(*leaf));
                assert!(run.parts.iter().all(|part| tree.push_subtree(*part)));
                leaves[end..].iter().for_each(|leaf| tree.push(*leaf));
                assert_eq!(tree.root(), definition(&leaves), "{begin}..{end} of {count}");
            }
        }
    }
}
