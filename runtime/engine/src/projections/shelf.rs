//! Where read models lie in the store: which build of each is served, and how its entries are named.
//!
//! Each build of a read model is a projection of its own in the store, so that a new one can be made beside the old.
//! One more projection records which is which. It decides nothing about when to build.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tidewire_log::{LogError, ProjectionStore};
use tidewire_model::position::Position;

use super::codec::{Stored, decode};
use super::compare::Comparison;
use super::retained::Gap;
use super::snapshot::Snapshot;
use super::status::Parked;

/// The projection that records the builds of all others.
const BUILDS: &str = "tidewire.builds";
const BUILDS_FORM: &str = "1";
/// Longest name of a read model: the store allows 64 bytes, and the number of the build goes with it.
pub(super) const NAME_MAX: usize = 48;
/// Longest key of an entry.
pub(super) const KEY_MAX: usize = 512;

pub(super) const ENTRY: &str = "k/";
pub(super) const PARKED: &str = "!/";
pub(super) const TOTALS: &str = "#";

/// One build of a read model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Build {
    pub(super) number: u64,
    /// What it was made from.
    pub(super) definition: String,
    /// Up to here it is history that nobody is told of.
    pub(super) quiet: Position,
    /// It was begun from a snapshot that stands here, not from the first event.
    #[serde(default)]
    pub(super) from: Position,
    /// What was made before must leave no trace in it.
    #[serde(default)]
    pub(super) renewed: bool,
    /// It takes the place of the one that is served only when that is asked for.
    #[serde(default)]
    pub(super) hold: bool,
    /// What it lacks.
    #[serde(default)]
    pub(super) gap: Option<Gap>,
}

/// The builds of one read model.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Builds {
    /// How many there ever were; gives each its number.
    pub(super) made: u64,
    /// The one that is complete.
    pub(super) live: Option<Build>,
    /// The one that is being made.
    pub(super) next: Option<Build>,
    /// In order of position.
    #[serde(default)]
    pub(super) snapshots: Vec<Snapshot>,
    #[serde(default)]
    pub(super) snapshots_made: u64,
    /// What the last exchange of builds changed.
    #[serde(default)]
    pub(super) comparison: Option<Comparison>,
}

impl Builds {
    /// The one that readers see.
    pub(super) fn served(&self) -> Option<&Build> {
        self.live.as_ref().or(self.next.as_ref())
    }

    /// The snapshot of a definition that is nearest before a position, but not before `first`.
    pub(super) fn nearest(&self, definition: &str, first: Position, until: Position) -> Option<&Snapshot> {
        let fits = |one: &&Snapshot| one.definition == definition && (first..=until).contains(&one.position);
        self.snapshots.iter().rfind(fits)
    }
}

/// Counts kept with each build.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Totals {
    pub(super) keys: u64,
    pub(super) parked: u64,
}

/// One atomic step of a build.
#[derive(Debug, Default)]
pub(super) struct Step {
    /// Key and encoded entry; `None` removes it.
    pub(super) entries: Vec<(String, Option<Bytes>)>,
    /// Position of a parked event; `None`: it is parked no more.
    pub(super) parked: Vec<(Position, Option<Parked>)>,
    pub(super) totals: Totals,
}

/// The store, as read models use it.
#[derive(Clone)]
pub(super) struct Shelf {
    store: Arc<dyn ProjectionStore>,
}

impl Shelf {
    pub(super) fn new(store: Arc<dyn ProjectionStore>) -> Self {
        Shelf { store }
    }

    /// Name of a build in the store.
    pub(super) fn place(name: &str, number: u64) -> String {
        format!("{name}@{number}")
    }

    pub(super) fn builds(&self, name: &str) -> Result<Builds, LogError> {
        let stored = self.store.get(BUILDS, name)?;
        // What cannot be read is not known: the read model is then built anew.
        Ok(stored.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default())
    }

    pub(super) fn save_builds(&self, name: &str, builds: &Builds) -> Result<(), LogError> {
        let value = serde_json::to_vec(builds).map_err(|error| LogError::Store(error.to_string()))?;
        self.store.commit(BUILDS, BUILDS_FORM, vec![(name.into(), Some(value.into()))], Position::ZERO)
    }

    pub(super) fn names(&self) -> Result<Vec<String>, LogError> {
        let all = self.store.scan(BUILDS, "", None, usize::MAX)?;
        Ok(all.into_iter().map(|(name, _)| name.into()).collect())
    }

    pub(super) fn checkpoint(&self, place: &str) -> Result<Position, LogError> {
        Ok(self.store.load(place)?.map_or(Position::ZERO, |info| info.checkpoint))
    }

    pub(super) fn totals(&self, place: &str) -> Result<Totals, LogError> {
        let stored = self.store.get(place, TOTALS)?;
        Ok(stored.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default())
    }

    pub(super) fn entry(&self, place: &str, key: &str) -> Result<Option<Stored>, LogError> {
        match self.store.get(place, &format!("{ENTRY}{key}"))? {
            None => Ok(None),
            Some(bytes) => Ok(Some(decode(bytes).ok_or_else(|| damaged(place, key))?)),
        }
    }

    /// Entries in order of key.
    pub(super) fn page(
        &self,
        place: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Stored)>, LogError> {
        let after = after.map(|key| format!("{ENTRY}{key}"));
        let found = self.store.scan(place, &format!("{ENTRY}{prefix}"), after.as_deref(), limit)?;
        let entries = found.into_iter().map(|(key, bytes)| {
            let key = key.strip_prefix(ENTRY).unwrap_or(&key);
            Ok((key.to_owned(), decode(bytes).ok_or_else(|| damaged(place, key))?))
        });
        entries.collect()
    }

    pub(super) fn parked(&self, place: &str, limit: usize) -> Result<Vec<Parked>, LogError> {
        let found = self.store.scan(place, PARKED, None, limit)?;
        Ok(found.into_iter().filter_map(|(_, bytes)| serde_json::from_slice(&bytes).ok()).collect())
    }

    /// The record of one parked event.
    pub(super) fn parked_at(&self, place: &str, position: Position) -> Result<Option<Parked>, LogError> {
        let stored = self.store.get(place, &parked_key(position))?;
        Ok(stored.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    /// Keys and values as they are, in order of key.
    pub(super) fn raw_page(
        &self,
        place: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, Bytes)>, LogError> {
        let found = self.store.scan(place, "", after, limit)?;
        Ok(found.into_iter().map(|(key, bytes)| (key.into(), bytes)).collect())
    }

    /// Stores keys and values as they are.
    pub(super) fn raw_commit(
        &self,
        place: &str,
        values: Vec<(String, Option<Bytes>)>,
        checkpoint: Position,
    ) -> Result<(), LogError> {
        let changes = values.into_iter().map(|(key, value)| (key.into(), value)).collect();
        self.store.commit(place, BUILDS_FORM, changes, checkpoint)
    }

    /// Stores entries, parked events, counts and checkpoint in one step.
    pub(super) fn commit(&self, place: &str, step: Step, checkpoint: Position) -> Result<(), LogError> {
        let json = |value: Result<Vec<u8>, serde_json::Error>| match value {
            Ok(bytes) => Ok(Some(Bytes::from(bytes))),
            Err(error) => Err(LogError::Store(error.to_string())),
        };
        let mut changes = Vec::with_capacity(step.entries.len() + step.parked.len() + 1);
        for (key, value) in step.entries {
            changes.push((format!("{ENTRY}{key}").into(), value));
        }
        for (position, parked) in step.parked {
            let value = match parked {
                Some(parked) => json(serde_json::to_vec(&parked))?,
                None => None,
            };
            changes.push((parked_key(position).into(), value));
        }
        changes.push((TOTALS.into(), json(serde_json::to_vec(&step.totals))?));
        self.store.commit(place, BUILDS_FORM, changes, checkpoint)
    }

    pub(super) fn remove(&self, place: &str) -> Result<(), LogError> {
        self.store.drop_projection(place)
    }

    /// Removes builds and snapshots that no read model knows any more: they are removed after they are forgotten, and that
    /// may be under way, or may have been interrupted.
    pub(super) fn remove_forgotten(&self) -> Result<(), LogError> {
        let numbered = |place: &str, mark: char| {
            let (name, number) = place.rsplit_once(mark)?;
            Some((name.to_owned(), number.parse::<u64>().ok()?))
        };
        for info in self.store.list()? {
            let forgotten = if let Some((name, number)) = numbered(&info.name, '@') {
                let builds = self.builds(&name)?;
                let mut known = builds.live.iter().chain(&builds.next);
                number <= builds.made && !known.any(|build| build.number == number)
            } else if let Some((name, number)) = numbered(&info.name, '#') {
                // One that is just being made has a number that is not counted yet.
                let builds = self.builds(&name)?;
                number <= builds.snapshots_made && !builds.snapshots.iter().any(|one| one.number == number)
            } else {
                false
            };
            if forgotten {
                self.remove(&info.name)?;
            }
        }
        Ok(())
    }
}

fn parked_key(position: Position) -> String {
    format!("{PARKED}{:016}", position.get())
}

fn damaged(place: &str, key: &str) -> LogError {
    LogError::Store(format!("entry '{key}' of projection '{place}' cannot be read"))
}
