//! Who subscribes to what: a tree over the levels of the filters.

use std::collections::HashMap;

use smallvec::SmallVec;
use tidewire_node_api::broker::Qos;

use crate::topics::Filter;

/// Number of a session.
pub(crate) type SessionKey = u64;

/// What a subscriber asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Options {
    qos: u8,
    pub(crate) no_local: bool,
    pub(crate) retain_as_published: bool,
    pub(crate) tag: Option<u32>,
}

impl Options {
    pub(crate) fn new(qos: Qos, no_local: bool, retain_as_published: bool, tag: Option<u32>) -> Self {
        Options { qos: qos.as_u8(), no_local, retain_as_published, tag }
    }

    pub(crate) fn qos(&self) -> Qos {
        Qos::from_u8(self.qos).unwrap_or_default()
    }
}

/// A subscription that a topic matches.
pub(crate) type Match = (SessionKey, Options);

/// Members of a shared subscription.
#[derive(Debug)]
struct Share {
    group: Box<str>,
    members: Vec<Match>,
    /// Whose turn it is.
    next: usize,
}

#[derive(Debug, Default)]
struct Leaf {
    plain: Vec<Match>,
    shared: Vec<Share>,
}

#[derive(Debug, Default)]
struct Branch {
    levels: HashMap<Box<str>, Branch>,
    any: Option<Box<Branch>>,
    /// Filters that end here.
    here: Leaf,
    /// Filters that go on with `#`.
    below: Leaf,
}

/// All subscriptions.
#[derive(Debug, Default)]
pub(crate) struct Tree(Branch);

/// What matches a topic: every plain subscription, and per shared one the members in the order of their turn.
#[derive(Debug, Default)]
pub(crate) struct Matches {
    pub(crate) plain: SmallVec<[Match; 8]>,
    pub(crate) shared: Vec<Vec<Match>>,
}

impl Leaf {
    fn add(&mut self, group: Option<&str>, entry: Match) -> bool {
        let members = match group {
            None => &mut self.plain,
            Some(group) => {
                let at = self.shared.iter().position(|share| &*share.group == group);
                let at = at.unwrap_or_else(|| {
                    self.shared.push(Share { group: group.into(), members: Vec::new(), next: 0 });
                    self.shared.len() - 1
                });
                match self.shared.get_mut(at) {
                    Some(share) => &mut share.members,
                    None => return false,
                }
            }
        };
        match members.iter_mut().find(|(key, _)| *key == entry.0) {
            Some(old) => {
                *old = entry;
                false
            }
            None => {
                members.push(entry);
                true
            }
        }
    }

    fn remove(&mut self, group: Option<&str>, key: SessionKey) -> bool {
        let take = |members: &mut Vec<Match>| {
            let before = members.len();
            members.retain(|(other, _)| *other != key);
            members.len() < before
        };
        match group {
            None => take(&mut self.plain),
            Some(group) => {
                let share = self.shared.iter_mut().find(|share| &*share.group == group);
                let removed = share.is_some_and(|share| take(&mut share.members));
                self.shared.retain(|share| !share.members.is_empty());
                removed
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.plain.is_empty() && self.shared.is_empty()
    }

    fn collect(&mut self, into: &mut Matches) {
        into.plain.extend_from_slice(&self.plain);
        for share in &mut self.shared {
            share.next = (share.next + 1) % share.members.len().max(1);
            let (before, from) = share.members.split_at_checked(share.next).unwrap_or((&[], &share.members));
            into.shared.push([from, before].concat());
        }
    }
}

impl Branch {
    fn is_empty(&self) -> bool {
        self.levels.is_empty() && self.any.is_none() && self.here.is_empty() && self.below.is_empty()
    }

    fn leaf(&mut self, path: &str) -> &mut Leaf {
        let (level, rest) = path.split_once('/').map_or((path, None), |(level, rest)| (level, Some(rest)));
        if level == "#" {
            return &mut self.below;
        }
        let branch = if level == "+" {
            self.any.get_or_insert_default()
        } else {
            // Looked up twice when it is there, so that no key is made for that.
            if !self.levels.contains_key(level) {
                self.levels.insert(level.into(), Branch::default());
            }
            match self.levels.get_mut(level) {
                Some(branch) => branch,
                None => return &mut self.here,
            }
        };
        match rest {
            Some(rest) => branch.leaf(rest),
            None => &mut branch.here,
        }
    }

    fn remove(&mut self, path: &str, group: Option<&str>, key: SessionKey) -> bool {
        let (level, rest) = path.split_once('/').map_or((path, None), |(level, rest)| (level, Some(rest)));
        if level == "#" {
            return self.below.remove(group, key);
        }
        let branch = if level == "+" { self.any.as_deref_mut() } else { self.levels.get_mut(level) };
        let Some(branch) = branch else { return false };
        let removed = match rest {
            Some(rest) => branch.remove(rest, group, key),
            None => branch.here.remove(group, key),
        };
        if branch.is_empty() {
            if level == "+" {
                self.any = None;
            } else {
                self.levels.remove(level);
            }
        }
        removed
    }

    /// `system` says that this is the first level of a topic that wildcards do not see.
    fn collect(&mut self, topic: Option<&str>, system: bool, into: &mut Matches) {
        if !system {
            self.below.collect(into);
        }
        let Some(topic) = topic else {
            self.here.collect(into);
            return;
        };
        let (level, rest) = topic.split_once('/').map_or((topic, None), |(level, rest)| (level, Some(rest)));
        if let Some(branch) = self.levels.get_mut(level) {
            branch.collect(rest, false, into);
        }
        if let Some(branch) = self.any.as_mut().filter(|_| !system) {
            branch.collect(rest, false, into);
        }
    }
}

impl Tree {
    /// Adds a subscription, or changes it; says whether it is new.
    pub(crate) fn add(&mut self, filter: Filter<'_>, key: SessionKey, options: Options) -> bool {
        self.0.leaf(filter.path).add(filter.group, (key, options))
    }

    /// Removes a subscription; says whether there was one.
    pub(crate) fn remove(&mut self, filter: Filter<'_>, key: SessionKey) -> bool {
        self.0.remove(filter.path, filter.group, key)
    }

    /// What matches a topic. Takes turns in shared subscriptions.
    pub(crate) fn matches(&mut self, topic: &str) -> Matches {
        let mut matches = Matches::default();
        self.0.collect(Some(topic), topic.starts_with('$'), &mut matches);
        matches
    }
}

/// Whether a filter without a group matches a topic.
pub(crate) fn matches(path: &str, topic: &str) -> bool {
    if topic.starts_with('$') && path.starts_with(['+', '#']) {
        return false;
    }
    let (mut filter, mut levels) = (path.split('/'), topic.split('/'));
    loop {
        match (filter.next(), levels.next()) {
            (Some("#"), _) => return true,
            (Some("+"), Some(_)) => {}
            (Some(wanted), Some(level)) if wanted == level => {}
            (None, None) => return true,
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    fn options() -> Options {
        Options::new(Qos::AtLeastOnce, false, false, None)
    }

    fn tree(filters: &[&str]) -> Tree {
        let mut tree = Tree::default();
        for (key, filter) in filters.iter().enumerate() {
            assert!(tree.add(Filter::parse(filter).unwrap(), key as u64, options()), "{filter} is new");
        }
        tree
    }

    #[test]
    fn the_tree_and_the_plain_comparison_agree() {
        let filters =
            ["a", "a/b", "a/+", "+/b", "#", "a/#", "+/+", "/", "+", "a//b", "$own/#", "$own/+", "+/x", "a/b/#"];
        let topics = ["a", "a/b", "b/b", "/", "a//b", "$own/x", "$own", "a/b/c", "x", ""];
        let mut tree = tree(&filters);
        for topic in topics {
            let mut found: Vec<u64> = tree.matches(topic).plain.iter().map(|(key, _)| *key).collect();
            found.sort_unstable();
            let wanted: Vec<u64> = (0..).zip(filters).filter(|(_, f)| matches(f, topic)).map(|(key, _)| key).collect();
            assert_eq!(found, wanted, "{topic}");
        }
    }

    #[test]
    fn what_is_removed_leaves_nothing_behind() {
        let filters = ["a/b/c", "a/+/c", "a/#", "$share/g/a/b"];
        let mut tree = tree(&filters);
        assert!(!tree.add(Filter::parse("a/#").unwrap(), 2, options()), "the same again is not new");
        for (key, filter) in filters.iter().enumerate() {
            assert!(tree.remove(Filter::parse(filter).unwrap(), key as u64));
            assert!(!tree.remove(Filter::parse(filter).unwrap(), key as u64));
        }
        assert!(tree.0.is_empty());
    }

    #[test]
    fn members_of_a_group_take_turns() {
        let mut tree = Tree::default();
        for key in 0..3 {
            tree.add(Filter::parse("$share/g/a/+").unwrap(), key, options());
        }
        let mut turns: Vec<u64> = (0..3).map(|_| tree.matches("a/b").shared[0][0].0).collect();
        turns.sort_unstable();
        assert_eq!(turns, [0, 1, 2]);
    }
}
