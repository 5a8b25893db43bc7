//! Dropping events by policy, leaving their hashes.
//!
//! A pass decides first and asks whether it may: whoever needs events (subscriptions, consumers, projections) holds
//! them back. Then it rewrites archives one by one, takes the events out of the store, and records what it dropped as
//! an event in stream `$log`. Positions and versions stay what they were. It knows nothing of what events mean.
//!
//! Both engines decide by the same [`Rules`]. Never dropped are: events that no policy with a limit matches, the newest
//! event of the log, events of stream `$log`, and, so that repeated ids are recognised, what is younger than a day.

pub(crate) mod prune;
pub(crate) mod rewrite;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bytes::Bytes;
use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use tidewire_model::append::{AppendError, AppendRequest, StateChange};
use tidewire_model::event::{Event, EventId, NewEvent, StreamName};
use tidewire_model::position::Position;
use tidewire_model::retention::{Hold, LOG_STREAM, PolicyDrop, RetentionPolicy};

use crate::journal::summary::Dropped;
use crate::{BoxFuture, Commit, EventLog, LogError};

/// The type of the event that records what was dropped.
pub const COMPACTED: &str = "tidewire.log.compacted";
/// Repeated ids are recognised for so long at least, so nothing younger is dropped.
pub const DEDUPLICATION_MS: i64 = 24 * 60 * 60 * 1000;
const POLICIES: &str = "retention/policies";

/// Answers who needs which events.
pub type Holds = Arc<dyn Fn() -> BoxFuture<'static, Vec<Hold>> + Send + Sync>;

/// Answers of which streams no event may go, whatever its age.
pub type Spared = Arc<dyn Fn() -> BoxFuture<'static, Result<Vec<StreamHold>, String>> + Send + Sync>;

/// A stream that somebody still needs as a whole, such as that of a command without an outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamHold {
    /// Who needs it, such as `open command`.
    pub by: &'static str,
    /// Which stream.
    pub stream: StreamName,
}

/// Called before events are dropped: projections that used them must have a snapshot by then. A reason stops the pass.
pub type BeforeDrop = Arc<dyn Fn(Dropping) -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// What is about to be dropped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dropping {
    /// Nothing after this position.
    pub through: Position,
    /// Of which events.
    pub groups: Vec<DroppedGroup>,
}

/// Events of one type in one category that were dropped.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DroppedGroup {
    /// What stands before the first `-` of their streams.
    pub category: String,
    /// Their type.
    pub event_type: String,
    /// How many there were.
    pub events: u64,
    /// Where the last of them stood.
    pub last_position: Position,
}

/// Counts dropped events by category and type.
#[derive(Debug, Clone, Default)]
pub(crate) struct DroppedGroups(BTreeMap<(String, String), (u64, Position)>);

impl DroppedGroups {
    pub(crate) fn add(&mut self, event: &Event) {
        self.add_many(event.stream.category(), &event.event_type, 1, event.position);
    }

    fn add_many(&mut self, category: &str, event_type: &str, events: u64, last: Position) {
        let group = self.0.entry((category.to_owned(), event_type.to_owned())).or_default();
        *group = (group.0 + events, group.1.max(last));
    }

    pub(crate) fn extend(&mut self, groups: &[DroppedGroup]) {
        for group in groups {
            self.add_many(&group.category, &group.event_type, group.events, group.last_position);
        }
    }

    pub(crate) fn list(&self) -> Vec<DroppedGroup> {
        let group = |((category, event_type), (events, last)): (&(String, String), &(u64, Position))| DroppedGroup {
            category: category.clone(),
            event_type: event_type.clone(),
            events: *events,
            last_position: *last,
        };
        self.0.iter().map(group).collect()
    }
}

/// How to compact.
#[derive(Clone, Default)]
pub struct CompactOrder {
    /// Who wants it.
    pub actor: CompactString,
    /// Only say what would be dropped.
    pub dry_run: bool,
    /// Close the segment under way first, so that its events can be dropped too.
    pub close_segment: bool,
    /// Who needs events, beside checkpoints.
    pub holds: Option<Holds>,
    /// Streams that are needed as a whole.
    pub spared: Option<Spared>,
    /// What has to be done before.
    pub before_drop: Option<BeforeDrop>,
}

/// The policies of a log, in order.
///
/// # Errors
/// When the log cannot be read.
pub async fn policies(log: &dyn EventLog) -> Result<Vec<RetentionPolicy>, LogError> {
    let Some(stored) = log.state(POLICIES.into()).await? else { return Ok(Vec::new()) };
    serde_json::from_slice(&stored)
        .map_err(|error| LogError::Retention(format!("the stored policies cannot be read: {error}; set them again")))
}

/// Sets the policies of a log. Callers check them before, see [`RetentionPolicy::check`].
///
/// # Errors
/// As [`EventLog::commit`].
pub async fn set_policies(log: &dyn EventLog, policies: &[RetentionPolicy]) -> Result<(), AppendError> {
    let value = serde_json::to_vec(policies).map(Bytes::from).ok();
    let state = vec![StateChange { key: POLICIES.into(), value }];
    log.commit(Commit { requests: Vec::new(), state }).await.map(drop)
}

/// What a pass goes by.
#[derive(Clone)]
pub(crate) struct Rules {
    pub(crate) policies: Vec<RetentionPolicy>,
    pub(crate) now: i64,
    /// Only positions before this one.
    pub(crate) before: u64,
    /// By policy: events at or before this position exceed its bytes.
    pub(crate) cuts: Vec<u64>,
    /// Streams that are needed as a whole, and by whom.
    pub(crate) spared: Arc<HashMap<StreamName, &'static str>>,
}

impl Rules {
    /// The policy that drops an event of a stream at a version, if one does.
    pub(crate) fn drops(&self, event: &Event, version: u64) -> Option<usize> {
        self.wants(event, version).filter(|_| !self.spared.contains_key(&event.stream))
    }

    /// The same, whoever needs its stream.
    fn wants(&self, event: &Event, version: u64) -> Option<usize> {
        if event.position.get() >= self.before
            || event.stream.as_str() == LOG_STREAM
            || event.recorded_time > self.now - DEDUPLICATION_MS
        {
            return None;
        }
        let index = self.policies.iter().position(|policy| policy.matches(event))?;
        let policy = self.policies.get(index)?;
        let too_old = policy.max_age_seconds.is_some_and(|seconds| self.older_than(seconds, event.recorded_time));
        let too_many = policy.max_count.is_some_and(|count| version.saturating_sub(event.version) >= count);
        let too_much = self.cuts.get(index).is_some_and(|cut| event.position.get() <= *cut);
        (too_old || too_many || too_much).then_some(index)
    }

    fn older_than(&self, seconds: u64, time: i64) -> bool {
        let age = i64::try_from(seconds.saturating_mul(1000)).unwrap_or(i64::MAX);
        time < self.now.saturating_sub(age)
    }

    /// Whether a pass may find events to drop among those of a type in a category that were recorded from a time on,
    /// at positions from a first one on.
    pub(crate) fn may_drop(&self, category: &str, event_type: &str, first_time: i64, first_position: u64) -> bool {
        for (policy, cut) in self.policies.iter().zip(&self.cuts) {
            let about = policy.matches_group(category, event_type);
            let by_age = policy.max_age_seconds.is_some_and(|seconds| self.older_than(seconds, first_time));
            if about != Some(false) && (by_age || policy.max_count.is_some() || first_position <= *cut) {
                return true;
            }
            if about == Some(true) {
                return false;
            }
        }
        false
    }

    /// Whether any policy limits bytes.
    pub(crate) fn limits_bytes(&self) -> bool {
        self.policies.iter().any(|policy| policy.max_bytes.is_some())
    }
}

/// Finds from where on each policy's bytes exceed its limit, going from the newest event to the oldest.
pub(crate) struct ByteCuts<'a> {
    rules: &'a mut Rules,
    used: Vec<u64>,
}

impl<'a> ByteCuts<'a> {
    pub(crate) fn new(rules: &'a mut Rules) -> Self {
        rules.cuts = vec![0; rules.policies.len()];
        let used = vec![0; rules.policies.len()];
        Self { rules, used }
    }

    /// Adds the next older event.
    pub(crate) fn add(&mut self, event: &Event, bytes: u64) {
        if event.stream.as_str() != LOG_STREAM
            && let Some(index) = self.rules.policies.iter().position(|policy| policy.matches(event))
        {
            self.add_bytes(index, bytes, event.position.get());
        }
    }

    /// Adds a whole group of older events if all of them fit; false when they have to be looked at one by one.
    pub(crate) fn add_group(&mut self, category: &str, event_type: &str, bytes: u64) -> bool {
        if category == LOG_STREAM {
            return true;
        }
        for (index, policy) in self.rules.policies.iter().enumerate() {
            match policy.matches_group(category, event_type) {
                Some(false) => {}
                Some(true) => {
                    let used = self.used.get(index).copied().unwrap_or_default() + bytes;
                    return match policy.max_bytes {
                        Some(limit) if used > limit => false,
                        _ => {
                            self.add_bytes(index, bytes, 0);
                            true
                        }
                    };
                }
                None => return false,
            }
        }
        true
    }

    /// How much every policy has used so far, to go back to.
    pub(crate) fn used(&self) -> Vec<u64> {
        self.used.clone()
    }

    /// Goes back to what was used.
    pub(crate) fn go_back(&mut self, used: Vec<u64>) {
        self.used = used;
    }

    fn add_bytes(&mut self, index: usize, bytes: u64, position: u64) {
        let limit = self.rules.policies.get(index).and_then(|policy| policy.max_bytes).unwrap_or(u64::MAX);
        if let (Some(used), Some(cut)) = (self.used.get_mut(index), self.rules.cuts.get_mut(index)) {
            *used = used.saturating_add(bytes);
            if *used > limit {
                *cut = (*cut).max(position);
            }
        }
    }
}

/// What a pass found, event by event.
#[derive(Debug, Default)]
pub(crate) struct Finds {
    pub(crate) tally: Tally,
    pub(crate) gone: DroppedGroups,
    /// Streams that would lose events if nobody needed them, with the first of these.
    spared: BTreeMap<StreamName, Position>,
}

impl Finds {
    /// Decides about an event; whether it goes.
    pub(crate) fn add(&mut self, rules: &Rules, event: &Event, version: u64, bytes: impl FnOnce() -> u64) -> bool {
        let Some(policy) = rules.wants(event, version) else { return false };
        if rules.spared.contains_key(&event.stream) {
            self.spared.entry(event.stream.clone()).or_insert(event.position);
            return false;
        }
        self.tally.add(policy, event, bytes());
        self.gone.add(event);
        true
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.tally.merge(&other.tally);
        self.gone.extend(&other.gone.list());
        for (stream, position) in &other.spared {
            let known = self.spared.entry(stream.clone()).or_insert(*position);
            *known = (*known).min(*position);
        }
    }

    /// Who keeps what from being dropped, by stream.
    pub(crate) fn spared_by(&self, rules: &Rules) -> Vec<Hold> {
        let by = |stream: &StreamName| rules.spared.get(stream).copied().unwrap_or_default();
        self.spared.iter().map(|(stream, from)| Hold { by: format!("{} {stream}", by(stream)), from: *from }).collect()
    }
}

/// Counts what each policy drops.
#[derive(Debug, Default)]
pub(crate) struct Tally(BTreeMap<usize, PolicyDrop>);

impl Tally {
    pub(crate) fn add(&mut self, policy: usize, event: &Event, bytes: u64) {
        let drop = self.0.entry(policy).or_insert_with(|| PolicyDrop {
            first_position: event.position,
            last_position: event.position,
            ..PolicyDrop::default()
        });
        drop.events += 1;
        drop.bytes += bytes;
        drop.first_position = drop.first_position.min(event.position);
        drop.last_position = drop.last_position.max(event.position);
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (policy, more) in &other.0 {
            let drop = self.0.entry(*policy).or_insert_with(|| PolicyDrop { events: 0, bytes: 0, ..more.clone() });
            drop.events += more.events;
            drop.bytes += more.bytes;
            drop.first_position = drop.first_position.min(more.first_position);
            drop.last_position = drop.last_position.max(more.last_position);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn last_position(&self) -> Option<Position> {
        self.0.values().map(|drop| drop.last_position).max()
    }

    /// By policy, with their names.
    pub(crate) fn named(&self, policies: &[RetentionPolicy]) -> Vec<PolicyDrop> {
        let name = |index: usize| policies.get(index).map(|policy| policy.id.clone()).unwrap_or_default();
        self.0.iter().map(|(index, drop)| PolicyDrop { policy: name(*index), ..drop.clone() }).collect()
    }
}

/// The event that records what was dropped. Its id makes sure that it is recorded once.
pub(crate) fn record_of(dropped: &Dropped, id: String) -> Option<AppendRequest> {
    let data = serde_json::json!({
        "policy": dropped.policy,
        "actor": dropped.actor,
        "firstPosition": dropped.first_position,
        "lastPosition": dropped.last_position,
        "events": dropped.events,
        "bytes": dropped.bytes,
    });
    let event = NewEvent {
        id: Some(EventId::from(id)),
        source: "/tidewire/log".into(),
        time: Some(dropped.time),
        actor: Some(dropped.actor.as_str().into()),
        ..NewEvent::json(COMPACTED, &data)
    };
    Some(AppendRequest::one(StreamName::reserved(LOG_STREAM).ok()?, event))
}

/// The streams that an order spares.
pub(crate) async fn spared(order: &CompactOrder) -> Result<Arc<HashMap<StreamName, &'static str>>, LogError> {
    let Some(spared) = &order.spared else { return Ok(Arc::default()) };
    let holds = spared().await.map_err(LogError::Retention)?;
    Ok(Arc::new(holds.into_iter().map(|hold| (hold.stream, hold.by)).collect()))
}

/// Those who need events: checkpoints, and whom the order names.
pub(crate) async fn holds(log: &dyn EventLog, order: &CompactOrder) -> Result<Vec<Hold>, LogError> {
    let checkpoints = log.checkpoints().await?.into_iter();
    let mut holds: Vec<Hold> =
        checkpoints.map(|(name, at)| Hold { by: format!("checkpoint {name}"), from: at.next() }).collect();
    if let Some(more) = &order.holds {
        holds.append(&mut more().await);
    }
    holds.sort_by_key(|hold| hold.from);
    Ok(holds)
}
