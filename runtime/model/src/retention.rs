//! Which events are dropped when, as policies.
//!
//! The first policy that an event matches decides; an event that matches none is kept for good. Nothing is dropped
//! without a policy.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::event::Event;
use crate::event::stream::category_of;
use crate::position::Position;
use crate::problem::Problem;
use crate::query::wildcard_matches;

/// The stream in which the log tells of itself. Its events are never dropped.
pub const LOG_STREAM: &str = "$log";

/// How long some events are kept. A policy without a limit keeps them for good, whatever stands after it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct RetentionPolicy {
    /// Its name, which stands in the record of what it dropped.
    pub id: String,
    /// The event types it is about, each with `*` for any run of characters. Empty means all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<String>,
    /// The category it is about: what stands before the first `-` of a stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// The streams it is about, with `*` for any run of characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    /// Events that were recorded longer ago than this are dropped. Nothing younger than a day ever is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age_seconds: Option<u64>,
    /// So many newest events of each stream stay: an event is dropped when its stream has gone on by this many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_count: Option<u64>,
    /// All events of the policy together take at most so many bytes in the log; the oldest go first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u64>,
}

impl RetentionPolicy {
    /// The longest id.
    pub const MAX_ID: usize = 64;
    /// The most policies.
    pub const MAX: usize = 100;

    /// Whether an event is one that it is about.
    #[must_use]
    pub fn matches(&self, event: &Event) -> bool {
        self.types.is_empty_or(|pattern| wildcard_matches(pattern, &event.event_type))
            && self.category_name().is_none_or(|category| category_of(event.stream.as_str()) == category)
            && self.stream.as_ref().is_none_or(|pattern| wildcard_matches(pattern, event.stream.as_str()))
    }

    /// Whether it may be about some events of a type in a category; `Some(true)` if about all of them.
    #[must_use]
    pub fn matches_group(&self, category: &str, event_type: &str) -> Option<bool> {
        let about = self.types.is_empty_or(|pattern| wildcard_matches(pattern, event_type))
            && self.category_name().is_none_or(|wanted| wanted == category);
        match &self.stream {
            _ if !about => Some(false),
            None => Some(true),
            Some(_) => None,
        }
    }

    fn category_name(&self) -> Option<&str> {
        self.category.as_deref().map(|category| category.strip_suffix('-').unwrap_or(category))
    }

    /// Whether it ever drops anything.
    #[must_use]
    pub const fn has_limit(&self) -> bool {
        self.max_age_seconds.is_some() || self.max_count.is_some() || self.max_bytes.is_some()
    }

    /// What is wrong with a list of policies.
    #[must_use]
    pub fn check(policies: &[Self]) -> Vec<Problem> {
        let mut problems = Vec::new();
        if policies.len() > Self::MAX {
            problems.push(Problem::error("/policies", format!("has more than {} policies", Self::MAX)));
        }
        for (index, policy) in policies.iter().enumerate() {
            let at = |field: &str| format!("/policies/{index}/{field}");
            if policy.id.is_empty() || policy.id.len() > Self::MAX_ID || policy.id.chars().any(char::is_control) {
                problems.push(Problem::error(at("id"), "has to be a name of 1 to 64 printable bytes"));
            }
            if policies.iter().take(index).any(|before| before.id == policy.id) {
                problems.push(Problem::error(at("id"), "is the name of an earlier policy; give it one of its own"));
            }
            if policy.max_count == Some(0) {
                problems
                    .push(Problem::error(at("maxCount"), "has to be at least 1: the newest event of a stream stays"));
            }
        }
        problems
    }
}

/// Someone who still needs events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Hold {
    /// Who, such as `checkpoint alarms`.
    pub by: String,
    /// The first position that is needed.
    #[schemars(with = "u64")]
    pub from: Position,
}

/// What one policy drops.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyDrop {
    /// Which policy.
    pub policy: String,
    /// How many events.
    pub events: u64,
    /// How many bytes they take, uncompressed.
    pub bytes: u64,
    /// The first of them.
    #[schemars(with = "u64")]
    pub first_position: Position,
    /// The last of them.
    #[schemars(with = "u64")]
    pub last_position: Position,
}

/// What was, or would be, dropped.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Compacted {
    /// By policy.
    pub policies: Vec<PolicyDrop>,
    /// Bytes of superseded state that go with them, uncompressed.
    pub state_bytes: u64,
    /// How many archives are rewritten.
    pub archives: u64,
    /// How many bytes less the archives take; 0 when nothing was done.
    pub freed_bytes: u64,
    /// Who keeps further events from being dropped, with the first position that is needed.
    pub held_by: Vec<Hold>,
}

impl Compacted {
    /// How many events.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.policies.iter().map(|policy| policy.events).sum()
    }
}

trait EmptyOr {
    fn is_empty_or(&self, any: impl Fn(&str) -> bool) -> bool;
}

impl EmptyOr for Vec<String> {
    fn is_empty_or(&self, any: impl Fn(&str) -> bool) -> bool {
        self.is_empty() || self.iter().any(|pattern| any(pattern))
    }
}
