//! Whose variables changed between two running documents.

use std::collections::{HashMap, HashSet};

use crate::flow::Expanded;
use crate::flow::env::{Declared, declared};
use crate::flow::scopes;

/// The scopes with variables of two documents, and what is known of the others already.
pub struct Changes<'a> {
    old: Side<'a>,
    new: Side<'a>,
    /// Scopes that define other variables than before.
    touched: HashSet<&'a str>,
    /// No document defines any.
    nothing: bool,
}

/// One document: its scopes, and per scope the ones with variables from there outwards.
struct Side<'a> {
    expanded: &'a Expanded,
    declared: HashMap<&'a str, Declared<'a>>,
    chains: HashMap<&'a str, Vec<&'a str>>,
}

impl<'a> Changes<'a> {
    pub fn between(old: &'a Expanded, new: &'a Expanded) -> Self {
        let side = |expanded| Side { expanded, declared: declared(expanded), chains: HashMap::new() };
        let (old, new) = (side(old), side(new));
        let scopes = old.declared.keys().chain(new.declared.keys());
        let touched: HashSet<&str> =
            scopes.filter(|scope| old.declared.get(*scope) != new.declared.get(*scope)).copied().collect();
        Changes { nothing: old.declared.is_empty() && new.declared.is_empty(), old, new, touched }
    }

    /// Whether a node that is in both documents may see other variables than before.
    pub fn concern(&mut self, node: &str) -> bool {
        if self.nothing {
            return false;
        }
        let after = self.new.chain(node);
        after != self.old.chain(node) || after.iter().any(|scope| self.touched.contains(scope))
    }
}

impl<'a> Side<'a> {
    /// The scopes with variables around a node, from the inside out.
    fn chain(&mut self, node: &str) -> &[&'a str] {
        let running = self.expanded.running();
        let Some(scope) = scopes::around(running, node) else { return &[] };
        let declared = &self.declared;
        self.chains.entry(scope).or_insert_with(|| {
            let outer = scopes::all_around(running, scope);
            [scope].into_iter().chain(outer).filter(|scope| declared.contains_key(scope)).collect()
        })
    }
}
