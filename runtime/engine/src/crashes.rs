//! Panics of a node: what is known of one, and how many are too many.

use std::any::Any;
use std::collections::VecDeque;

use tidewire_node_api::Deferred;

/// Panics within [`WINDOW_MS`] after which a node counts as failed.
const MANY: usize = 5;

const WINDOW_MS: i64 = 60_000;

/// A caught panic.
pub struct Panic {
    pub text: String,
    /// What the node was working on, as far as it is known.
    pub wreck: Deferred,
}

impl Panic {
    pub fn new(panic: &(dyn Any + Send), wreck: Deferred) -> Self {
        let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
        Panic { text: text.unwrap_or_else(|| "unknown reason".into()), wreck }
    }

    /// There was no node to run.
    pub fn nothing(text: &str) -> Self {
        Panic { text: text.into(), wreck: Deferred::default() }
    }
}

/// When a node crashed, as far back as it matters.
#[derive(Default)]
pub struct Crashes(VecDeque<i64>);

impl Crashes {
    pub fn count(&mut self, now_ms: i64) {
        self.0.push_back(now_ms);
        if self.0.len() > MANY {
            self.0.pop_front();
        }
    }

    /// What to say of a node that crashes again and again. It goes on being tried, ever more rarely.
    pub fn too_many(&self, now_ms: i64) -> Option<String> {
        let within = self.0.iter().filter(|at| now_ms - **at < WINDOW_MS).count();
        (within >= MANY).then(|| {
            format!("crashed {within} times within a minute; it is tried again now and then, what it is sent waits")
        })
    }

    /// It crashed not long ago.
    pub fn recent(&self, now_ms: i64) -> bool {
        self.0.back().is_some_and(|at| now_ms - at < WINDOW_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_crashes_within_a_minute_are_too_many() {
        let mut crashes = Crashes::default();
        (0..4).for_each(|at| crashes.count(at * 1_000));
        assert!(crashes.too_many(4_000).is_none());
        crashes.count(4_000);
        assert!(crashes.too_many(4_000).is_some());
        assert!(crashes.too_many(61_000).is_none());
        assert!(crashes.recent(61_000) && !crashes.recent(64_000));
    }
}
