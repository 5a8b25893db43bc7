//! Projections in memory, for tests and `--ephemeral`.

use std::collections::BTreeMap;
use std::ops::Bound;

use bytes::Bytes;
use compact_str::CompactString;
use parking_lot::Mutex;
use tidewire_model::position::Position;

use super::{ProjectionChange, ProjectionInfo, ProjectionStore, check_name, check_version};
use crate::LogError;

type Values = BTreeMap<CompactString, Bytes>;

/// Projections that are gone when the process ends.
#[derive(Debug, Default)]
pub struct MemoryProjections {
    projections: Mutex<BTreeMap<CompactString, (ProjectionInfo, Values)>>,
}

impl ProjectionStore for MemoryProjections {
    fn load(&self, name: &str) -> Result<Option<ProjectionInfo>, LogError> {
        Ok(self.projections.lock().get(name).map(|(info, _)| info.clone()))
    }

    fn list(&self) -> Result<Vec<ProjectionInfo>, LogError> {
        Ok(self.projections.lock().values().map(|(info, _)| info.clone()).collect())
    }

    fn commit(
        &self,
        name: &str,
        version: &str,
        changes: Vec<ProjectionChange>,
        checkpoint: Position,
    ) -> Result<(), LogError> {
        check_name(name)?;
        let mut projections = self.projections.lock();
        let (info, values) = projections.entry(CompactString::from(name)).or_insert_with(|| {
            let info = ProjectionInfo { name: name.into(), version: version.into(), checkpoint: Position::ZERO };
            (info, BTreeMap::new())
        });
        check_version(info, version)?;
        for (key, value) in changes {
            match value {
                Some(value) => values.insert(key, value),
                None => values.remove(&key),
            };
        }
        info.checkpoint = checkpoint;
        Ok(())
    }

    fn get(&self, name: &str, key: &str) -> Result<Option<Bytes>, LogError> {
        Ok(self.projections.lock().get(name).and_then(|(_, values)| values.get(key).cloned()))
    }

    fn scan(
        &self,
        name: &str,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(CompactString, Bytes)>, LogError> {
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let projections = self.projections.lock();
        let Some((_, values)) = projections.get(name) else { return Ok(Vec::new()) };
        let range = values.range::<str, _>((start, Bound::Unbounded));
        let hits = range.take_while(|(key, _)| key.starts_with(prefix)).take(limit);
        Ok(hits.map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn renew(&self) -> Result<(), LogError> {
        Ok(())
    }

    fn drop_projection(&self, name: &str) -> Result<(), LogError> {
        self.projections.lock().remove(name);
        Ok(())
    }
}
