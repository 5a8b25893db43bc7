//! What retention dropped of the events that a read model uses, and the files that stand for them.
//!
//! The store can be lost at any time, and with it every build and every snapshot in it; what is made of events that are
//! gone lives on in files beside the journal.

use serde::{Deserialize, Serialize};
use tidewire_log::snapshots::{self, SnapshotInfo, SnapshotWriter, Snapshots};
use tidewire_log::{DroppedGroup, EventLog, LogError};
use tidewire_model::position::Position;
use tidewire_model::query::Filter;
use tidewire_node_api::handles::Keys;

use super::SCAN_PAGE;
use super::beside;
use super::codec::{Stored, decode};
use super::shelf::{ENTRY, PARKED, Shelf, TOTALS, Totals};
use super::status::Parked;
use tokio::runtime::Handle;

/// Events that did not take effect in a build, because they were gone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Gap {
    /// Everything up to here has taken effect.
    pub after: Position,
    /// Of what lies between, it knows only what retention has left; all that comes later has taken effect.
    pub through: Position,
    /// Why.
    pub reason: String,
}

/// What a read model has to go by.
#[derive(Debug, Clone, Default)]
pub(super) struct Retained {
    /// Events up to here may be gone; 0: all are there.
    pub(super) gone: Position,
    /// Snapshots of it in files, of whichever definition, in order of position.
    files: Vec<SnapshotInfo>,
}

/// Up to where events of a filter may be gone.
pub(super) fn gone(dropped: &[DroppedGroup], filter: &Filter) -> Position {
    let used = dropped.iter().filter(|group| filter.may_find_group(&group.category, &group.event_type));
    used.map(|group| group.last_position).max().unwrap_or(Position::ZERO)
}

impl Retained {
    pub(super) async fn of(log: &dyn EventLog, name: &str, filter: &Filter) -> Result<Self, LogError> {
        let gone = gone(&log.dropped().await?, filter);
        Ok(Self { gone, files: snapshots::list(log, Some(name)).await? })
    }

    /// The file of a definition that stands at a position.
    pub(super) fn at(&self, definition: &str, position: Position) -> Option<&SnapshotInfo> {
        self.files.iter().find(|one| one.position == position && one.is_of(definition))
    }

    /// The newest file of a definition.
    pub(super) fn newest(&self, definition: &str) -> Option<&SnapshotInfo> {
        self.files.iter().rfind(|one| one.is_of(definition))
    }

    /// The newest file of a definition that a look back at `until` can begin from.
    pub(super) fn nearest(&self, definition: &str, until: Position) -> Option<&SnapshotInfo> {
        let fits = |one: &&SnapshotInfo| one.is_of(definition) && (self.gone..=until).contains(&one.position);
        self.files.iter().rfind(fits)
    }

    /// What is lacking without any snapshot.
    pub(super) fn lack(&self, reason: &str) -> Option<Gap> {
        let gap = || Gap { after: Position::ZERO, through: self.gone, reason: reason.to_owned() };
        (self.gone > Position::ZERO).then(gap)
    }

    pub(super) fn positions(&self) -> impl Iterator<Item = Position> {
        self.files.iter().map(|one| one.position)
    }

    /// Where a build of a definition begins, and what it will lack.
    pub(super) fn begin(&self, files: &Snapshots, definition: &str) -> (Position, Option<Gap>) {
        if self.gone == Position::ZERO {
            return (Position::ZERO, None);
        }
        let through = self.gone;
        let lacks = |after, reason: String| Some(Gap { after, through, reason });
        let Some(newest) = self.newest(definition) else {
            let reason = match self.files.last() {
                Some(other) => format!(
                    "its definition is not the one that the snapshot at position {} was made from; go back to that \
                     one, or do without these events",
                    other.position
                ),
                None => "there is no snapshot of it from before they were removed".to_owned(),
            };
            return (Position::ZERO, lacks(Position::ZERO, reason));
        };
        match files.check(newest) {
            Err(error) => (Position::ZERO, lacks(Position::ZERO, error.full_text())),
            Ok(()) if newest.position < through => {
                (newest.position, lacks(newest.position, "they were removed while it was not kept".to_owned()))
            }
            Ok(()) => (newest.position, None),
        }
    }
}

/// Keeps a build in a file, as it is in the store. Nobody must change it meanwhile.
pub(super) async fn take(
    runtime: &Handle,
    log: &dyn EventLog,
    shelf: &Shelf,
    of: (&str, &str, &str),
) -> Result<Position, LogError> {
    let writer = write(runtime, log, shelf, of).await?;
    Ok(snapshots::keep(log, writer).await?.position)
}

/// Writes a build, as it is in the store, into a file that does not count yet.
pub(super) async fn write(
    runtime: &Handle,
    log: &dyn EventLog,
    shelf: &Shelf,
    (name, definition, place): (&str, &str, &str),
) -> Result<SnapshotWriter, LogError> {
    let (shelf, files) = (shelf.clone(), log.snapshots());
    let (name, definition, place) = (name.to_owned(), definition.to_owned(), place.to_owned());
    let write = move || {
        let mut writer = files.begin(&name, &definition, shelf.checkpoint(&place)?)?;
        let mut last: Option<String> = None;
        loop {
            let page = shelf.raw_page(&place, last.as_deref(), SCAN_PAGE)?;
            for (key, value) in &page {
                writer.put(key, value)?;
            }
            match page.into_iter().next_back() {
                Some((key, _)) => last = Some(key),
                None => return Ok(writer),
            }
        }
    };
    beside(runtime, write).await.unwrap_or_else(|error| Err(LogError::Store(error.to_string())))
}

/// Fills a new build with what a file holds, but for some keys and what was said of parked events.
pub(super) fn copy(
    files: &Snapshots,
    info: &SnapshotInfo,
    shelf: &Shelf,
    to: &str,
    without: Option<&Keys>,
) -> Result<(), LogError> {
    let failed = |error: serde_json::Error| LogError::Store(error.to_string());
    let mut step = Vec::new();
    let (mut totals, mut left_out) = (Totals::default(), 0);
    files.read(info, &mut |key, mut value| {
        if key == TOTALS {
            totals = serde_json::from_slice(&value).map_err(failed)?;
            return Ok(());
        }
        if let Some(without) = without {
            if key.strip_prefix(ENTRY).is_some_and(|key| without.contain(key)) {
                left_out += 1;
                return Ok(());
            }
            if key.starts_with(PARKED) {
                let parked: Parked = serde_json::from_slice(&value).map_err(failed)?;
                let parked = Parked { reason: "what was said here is gone with an erasure".to_owned(), ..parked };
                value = serde_json::to_vec(&parked).map_err(failed)?.into();
            }
        }
        step.push((key.to_owned(), Some(value)));
        if step.len() >= SCAN_PAGE {
            // Not complete, so it does not count as begun: a crash here makes it begin anew.
            shelf.raw_commit(to, std::mem::take(&mut step), Position::ZERO)?;
        }
        Ok(())
    })?;
    totals.keys = totals.keys.saturating_sub(left_out);
    step.push((TOTALS.to_owned(), Some(serde_json::to_vec(&totals).map_err(failed)?.into())));
    shelf.raw_commit(to, step, info.position)
}

/// Hands every entry of a file to `each`, in order of key.
pub(super) fn read(
    files: &Snapshots,
    info: &SnapshotInfo,
    mut each: impl FnMut(&str, Stored) -> Result<(), LogError>,
) -> Result<(), LogError> {
    files.read(info, &mut |key, value| {
        let Some(key) = key.strip_prefix(ENTRY) else { return Ok(()) };
        let damaged = || LogError::Snapshot {
            name: info.name.clone(),
            reason: format!("its entry '{key}' is in a form that this version does not read"),
        };
        each(key, decode(value).ok_or_else(damaged)?)
    })
}
