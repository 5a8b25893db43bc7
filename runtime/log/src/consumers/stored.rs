//! How groups are kept as keyed state.

use std::collections::BTreeMap;

use bytes::Bytes;
use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use tidewire_model::append::StateChange;
use tidewire_model::event::EventId;
use tidewire_model::query::Filter;

use super::group::State;
use super::{Compile, ConsumerError, GroupConfig, Strategy};
use crate::{EventLog, LogError};

const PREFIX: &str = "consumer/";
/// Changes that go into one commit when a group is removed.
const CHUNK: usize = 1_000;

/// An event that was put aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parked {
    /// How often it was handed out.
    pub deliveries: u32,
    /// Why it was put aside.
    pub reason: String,
    /// When, in milliseconds since 1970.
    pub time: i64,
    /// By whom.
    pub by: String,
}

/// A group as it was stored.
pub(super) struct Loaded {
    pub(super) config: GroupConfig,
    pub(super) state: State,
    pub(super) parked: BTreeMap<u64, Parked>,
}

/// A filter and the rest of a configuration, as JSON.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredConfig {
    filter: StoredFilter,
    strategy: Strategy,
    in_flight_max: u32,
    lease_ms: u64,
    deliveries_max: u32,
}

/// A filter whose condition is its text.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct StoredFilter {
    stream: Option<CompactString>,
    category: Option<CompactString>,
    event_types: Vec<CompactString>,
    from_time: Option<i64>,
    to_time: Option<i64>,
    correlation_id: Option<EventId>,
    causation_id: Option<EventId>,
    text: Option<CompactString>,
    matching: Option<String>,
}

impl StoredFilter {
    fn of(filter: &Filter) -> Self {
        let filter = filter.clone();
        Self {
            stream: filter.stream,
            category: filter.category,
            event_types: filter.event_types,
            from_time: filter.from_time,
            to_time: filter.to_time,
            correlation_id: filter.correlation_id,
            causation_id: filter.causation_id,
            text: filter.text,
            matching: filter.matching.map(|condition| condition.0.text().to_owned()),
        }
    }

    fn compile(self, compile: &Compile) -> Result<Filter, LogError> {
        let failed = |error| LogError::Name(format!("a consumer group's condition does not compile: {error}"));
        Ok(Filter {
            stream: self.stream,
            category: self.category,
            event_types: self.event_types,
            from_time: self.from_time,
            to_time: self.to_time,
            correlation_id: self.correlation_id,
            causation_id: self.causation_id,
            text: self.text,
            matching: self.matching.map(|text| compile(&text)).transpose().map_err(failed)?,
        })
    }
}

/// Refuses what cannot be kept or does not make sense.
pub(super) fn check(name: &str, config: &GroupConfig) -> Result<(), ConsumerError> {
    let usable = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > 64 || !name.chars().all(usable) {
        let text = format!("the group name '{name}' cannot be used; take 1 to 64 letters, digits, '-', '_' or '.'");
        return Err(ConsumerError::Invalid(text));
    }
    for (what, value, low, high) in [
        ("in_flight_max", u64::from(config.in_flight_max), 1, 10_000),
        ("lease_ms", config.lease_ms, 10, 24 * 3_600_000),
        ("deliveries_max", u64::from(config.deliveries_max), 1, 1_000_000),
    ] {
        if !(low..=high).contains(&value) {
            return Err(ConsumerError::Invalid(format!("{what} is {value}; use {low} to {high}")));
        }
    }
    Ok(())
}

fn config_key(name: &str) -> CompactString {
    compact_str::format_compact!("{PREFIX}{name}")
}

fn state_key(name: &str) -> CompactString {
    compact_str::format_compact!("{PREFIX}{name}/state")
}

fn parked_key(name: &str, position: u64) -> CompactString {
    compact_str::format_compact!("{PREFIX}{name}/parked/{position:020}")
}

fn unwritable(error: impl std::fmt::Display) -> LogError {
    LogError::Name(format!("a consumer group cannot be written down: {error}"))
}

pub(super) fn config_change(name: &str, config: &GroupConfig) -> StateChange {
    let stored = StoredConfig {
        filter: StoredFilter::of(&config.filter),
        strategy: config.strategy,
        in_flight_max: config.in_flight_max,
        lease_ms: config.lease_ms,
        deliveries_max: config.deliveries_max,
    };
    StateChange { key: config_key(name), value: serde_json::to_vec(&stored).ok().map(Bytes::from) }
}

pub(super) fn state_change(name: &str, state: &State) -> Result<StateChange, LogError> {
    let value = postcard::to_stdvec(state).map_err(unwritable)?;
    Ok(StateChange { key: state_key(name), value: Some(value.into()) })
}

pub(super) fn parked_change(name: &str, position: u64, parked: Option<&Parked>) -> Result<StateChange, LogError> {
    let value = parked.map(postcard::to_stdvec).transpose().map_err(unwritable)?;
    Ok(StateChange { key: parked_key(name, position), value: value.map(Bytes::from) })
}

/// What removes a group, in commits of bearable size.
pub(super) fn removal(name: &str, parked: impl Iterator<Item = u64>) -> Vec<Vec<StateChange>> {
    let keys = parked.map(|position| parked_key(name, position)).chain([state_key(name), config_key(name)]);
    let changes: Vec<_> = keys.map(|key| StateChange { key, value: None }).collect();
    changes.chunks(CHUNK).map(<[StateChange]>::to_vec).collect()
}

/// All groups that are stored.
pub(super) async fn load(log: &dyn EventLog, compile: &Compile) -> Result<BTreeMap<CompactString, Loaded>, LogError> {
    let damaged = |key: &str| LogError::Store(format!("the state '{key}' of a consumer group is damaged"));
    let mut loaded: BTreeMap<CompactString, Loaded> = BTreeMap::new();
    // A group's configuration comes before the rest of it: its key is the shortest.
    for (key, value) in log.states(PREFIX.into()).await? {
        let rest = key.strip_prefix(PREFIX).unwrap_or_default();
        let (name, part) = rest.split_once('/').map_or((rest, None), |(name, part)| (name, Some(part)));
        match part {
            None => {
                let stored: StoredConfig = serde_json::from_slice(&value).map_err(|_| damaged(&key))?;
                let config = GroupConfig {
                    filter: stored.filter.compile(compile)?,
                    strategy: stored.strategy,
                    in_flight_max: stored.in_flight_max,
                    lease_ms: stored.lease_ms,
                    deliveries_max: stored.deliveries_max,
                };
                loaded.insert(name.into(), Loaded { config, state: State::default(), parked: BTreeMap::new() });
            }
            Some(part) => {
                let Some(group) = loaded.get_mut(name) else { continue };
                match part.strip_prefix("parked/").map(str::parse) {
                    None => group.state = postcard::from_bytes(&value).map_err(|_| damaged(&key))?,
                    Some(position) => {
                        let parked = postcard::from_bytes(&value).map_err(|_| damaged(&key))?;
                        group.parked.insert(position.map_err(|_| damaged(&key))?, parked);
                    }
                }
            }
        }
    }
    Ok(loaded)
}
