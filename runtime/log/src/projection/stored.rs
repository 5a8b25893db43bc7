//! Projections in the indexed store, beside the log.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use compact_str::CompactString;
use tidewire_model::position::Position;

use super::{ProjectionChange, ProjectionInfo, ProjectionStore, check_name, check_version};
use crate::LogError;
use crate::indexer::STORE_RESERVE;
use crate::shared::Shared;
use crate::store::{Batch, Space, Store};
use crate::values::Values;

const SPACE: Space = Space::Projections;

/// Projections that live in the store. Calls wait until the store is open.
pub(crate) struct StoredProjections {
    shared: Arc<Shared>,
}

impl StoredProjections {
    pub(crate) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

/// Which log the projections are of.
const LOG_KEY: &[u8] = b"log";

/// Whether the stored projections are of a log and have not got further than it; empties them if not.
pub(crate) fn belong_to(store: &Store, log_id: u128, position: Position) -> Result<bool, LogError> {
    let known = store.get(SPACE, LOG_KEY)?;
    let mut fits = known.as_ref().is_none_or(|known| **known == log_id.to_le_bytes());
    for item in store.prefix(SPACE, b"p") {
        let (_, stored) = item?;
        fits &= read_info("", &stored).is_none_or(|info| info.checkpoint <= position);
    }
    if !fits {
        store.renew_projections(|_| false)?;
    }
    if !fits || known.is_none() {
        let mut batch = Batch::default();
        batch.put(LOG_KEY, &log_id.to_le_bytes());
        store.apply(SPACE, batch)?;
    }
    Ok(fits)
}

fn info_key(name: &str) -> Vec<u8> {
    [b"p", name.as_bytes()].concat()
}

/// `None` stands for a projection that is being dropped: its keys may be gone in part.
fn read_info(name: &str, stored: &[u8]) -> Option<ProjectionInfo> {
    let (checkpoint, version) = stored.split_first_chunk::<8>()?;
    let (dropped, version) = version.split_first()?;
    (*dropped == 0).then(|| ProjectionInfo {
        name: CompactString::from(name),
        version: CompactString::from_utf8_lossy(version),
        checkpoint: Position::new(u64::from_le_bytes(*checkpoint)),
    })
}

fn write_info(version: &str, checkpoint: Position, dropped: bool) -> Vec<u8> {
    [&checkpoint.get().to_le_bytes()[..], &[u8::from(dropped)], version.as_bytes()].concat()
}

fn load(store: &Store, name: &str) -> Result<Option<ProjectionInfo>, LogError> {
    Ok(store.get(SPACE, &info_key(name))?.and_then(|stored| read_info(name, &stored)))
}

impl ProjectionStore for StoredProjections {
    fn load(&self, name: &str) -> Result<Option<ProjectionInfo>, LogError> {
        self.shared.judge(load(&*self.shared.wait_for_store()?, name))
    }

    fn list(&self) -> Result<Vec<ProjectionInfo>, LogError> {
        let store = self.shared.wait_for_store()?;
        let mut list = Vec::new();
        for item in store.prefix(SPACE, b"p") {
            let (key, stored) = item?;
            let name = String::from_utf8_lossy(key.get(1..).unwrap_or_default());
            list.extend(read_info(&name, &stored));
        }
        Ok(list)
    }

    fn commit(
        &self,
        name: &str,
        version: &str,
        changes: Vec<ProjectionChange>,
        checkpoint: Position,
    ) -> Result<(), LogError> {
        check_name(name)?;
        let store = self.shared.wait_for_store()?;
        if !self.shared.has_room(STORE_RESERVE) {
            return Err(LogError::Full);
        }
        let values = Values::new(&store, SPACE, name);
        match load(&store, name)? {
            Some(info) => check_version(&info, version)?,
            // What an interrupted drop left behind.
            None => values.clear()?,
        }
        let mut batch = Batch::default();
        let last: BTreeMap<CompactString, Option<Bytes>> = changes.into_iter().collect();
        for (key, value) in &last {
            values.change(&mut batch, key, value.as_deref())?;
        }
        batch.put(&info_key(name), &write_info(version, checkpoint, false));
        self.shared.judge(store.apply(SPACE, batch))?;
        self.shared.store_changed();
        Ok(())
    }

    fn get(&self, name: &str, key: &str) -> Result<Option<Bytes>, LogError> {
        self.shared.judge(Values::new(&*self.shared.wait_for_store()?, SPACE, name).get(key))
    }

    fn scan(
        &self,
        name: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(CompactString, Bytes)>, LogError> {
        self.shared.judge(Values::new(&*self.shared.wait_for_store()?, SPACE, name).scan(prefix, after, limit))
    }

    fn renew(&self) -> Result<(), LogError> {
        let store = self.shared.wait_for_store()?;
        let half_dropped = || {
            let stored = store.prefix(SPACE, b"p").filter_map(|item| match item {
                Ok((key, stored)) if read_info("", &stored).is_none() => Some(Ok(key.get(1..)?.to_vec())),
                Ok(_) => None,
                Err(error) => Some(Err(error)),
            });
            stored.collect::<Result<Vec<_>, _>>()
        };
        for name in self.shared.judge(half_dropped())? {
            self.shared.judge(finish_drop(&store, &String::from_utf8_lossy(&name)))?;
        }
        self.shared.judge(store.renew_projections(|_| true))
    }

    fn drop_projection(&self, name: &str) -> Result<(), LogError> {
        let store = self.shared.wait_for_store()?;
        let Some(stored) = store.get(SPACE, &info_key(name))? else { return Ok(()) };
        if !self.shared.has_room(STORE_RESERVE) {
            return Err(LogError::Full);
        }
        if let Some(info) = read_info(name, &stored) {
            let mut batch = Batch::default();
            batch.put(&info_key(name), &write_info(&info.version, info.checkpoint, true));
            store.apply(SPACE, batch)?;
        }
        finish_drop(&store, name)?;
        self.shared.store_changed();
        Ok(())
    }
}

/// Removes what is left of a projection that is being dropped, and then that it is.
fn finish_drop(store: &Store, name: &str) -> Result<(), LogError> {
    Values::new(store, SPACE, name).clear()?;
    let mut batch = Batch::default();
    batch.remove(&info_key(name));
    store.apply(SPACE, batch)
}
