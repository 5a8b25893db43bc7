//! Hash trees over what a segment holds.
//!
//! The leaves of a record are its head fields, its events and its state changes; their root is a leaf of the
//! segment, whose root the next segment's head keeps. The shape of a tree is that of RFC 6962.

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
#[derive(Debug, Clone, Copy)]
struct Subtree {
    pub(crate) height: u8,
    pub(crate) hash: Hash,
}

/// A tree that grows by one leaf at a time and keeps only its complete subtrees.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tree {
    /// Complete subtrees from left to right, ever lower.
    parts: Vec<Subtree>,
}

impl Tree {
    /// Adds a leaf.
    pub(crate) fn push(&mut self, hash: Hash) {
        self.join(Subtree { height: 0, hash });
    }

    fn join(&mut self, mut part: Subtree) {
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
            assert_eq!(tree.root(), definition(&leaves));
        }
    }
}
