//! Snapshots: a whole read model as it was at a position, packed into few large values.
//!
//! Looking back starts from the nearest one. They lie in the store and can be done without; what stands for events that
//! retention removes is the business of `retained`.

use bytes::{Buf, Bytes};
use serde::{Deserialize, Serialize};
use tidewire_log::LogError;
use tidewire_model::position::Position;
use tidewire_model::value::codec::{read_slice, write_slice};

use super::SCAN_PAGE;
use super::codec::{Stored, decode, encode};
use super::shelf::{Build, Shelf};

/// A snapshot is due after so many events that took effect.
pub(super) const EVERY: u64 = 200_000;
/// Of larger read models there are none.
pub(super) const KEYS_MAX: u64 = 200_000;
/// Snapshots of one read model; the one that is missed least goes first.
const COUNT_MAX: usize = 8;
/// Bytes of one packed value: it has to stay below what the store takes in one piece.
const PACK: usize = 6_000;
/// Packed values written in one step.
const STEP: usize = 256;

/// A snapshot of a read model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Snapshot {
    pub(super) number: u64,
    /// What it was made from: another definition cannot use it.
    pub(super) definition: String,
    pub(super) position: Position,
}

fn place(name: &str, number: u64) -> String {
    format!("{name}#{number}")
}

/// Which one to forget when there are too many: where the rest lie closest together.
fn superfluous(all: &[Snapshot]) -> Option<usize> {
    if all.len() <= COUNT_MAX {
        return None;
    }
    let gap = |index: usize| {
        let before = index.checked_sub(1).and_then(|before| all.get(before)).map_or(0, |one| one.position.get());
        all.get(index + 1).map(|after| after.position.get().saturating_sub(before))
    };
    (0..all.len()).filter_map(|index| Some((gap(index)?, index))).min().map(|(_, index)| index)
}

impl Shelf {
    /// Takes a snapshot of a build that has just been committed.
    pub(super) fn take_snapshot(&self, name: &str, build: &Build) -> Result<(), LogError> {
        let from = Shelf::place(name, build.number);
        let position = self.checkpoint(&from)?;
        let mut builds = self.builds(name)?;
        builds.snapshots_made += 1;
        let number = builds.snapshots_made;
        self.remove(&place(name, number))?;
        let mut writer = Writer { shelf: self, place: place(name, number), position, count: 0, packs: Vec::new() };
        let mut last: Option<String> = None;
        let mut pack = Vec::with_capacity(PACK + 512);
        loop {
            let page = self.page(&from, "", last.as_deref(), SCAN_PAGE)?;
            for (key, stored) in &page {
                let entry = encode(&stored.state, stored.shown.as_ref(), stored.position, stored.time);
                if pack.len() + key.len() + entry.len() > PACK && !pack.is_empty() {
                    writer.put(std::mem::take(&mut pack))?;
                }
                write_slice(key.as_bytes(), &mut pack);
                write_slice(&entry, &mut pack);
            }
            match page.into_iter().next_back() {
                Some((key, _)) => last = Some(key),
                None => break,
            }
        }
        writer.put(pack)?;
        writer.flush()?;
        let definition = build.definition.clone();
        builds.snapshots.push(Snapshot { number, definition, position });
        builds.snapshots.sort_by_key(|one| one.position);
        let gone = superfluous(&builds.snapshots).map(|index| builds.snapshots.remove(index));
        self.save_builds(name, &builds)?;
        if let Some(gone) = gone {
            self.remove(&place(name, gone.number))?;
        }
        Ok(())
    }

    /// Forgets all snapshots.
    pub(super) fn drop_snapshots(&self, name: &str) -> Result<(), LogError> {
        let mut builds = self.builds(name)?;
        let gone = std::mem::take(&mut builds.snapshots);
        builds.comparison = None;
        self.save_builds(name, &builds)?;
        gone.iter().try_for_each(|one| self.remove(&place(name, one.number)))
    }

    /// Forgets snapshots of other definitions.
    pub(super) fn forget_snapshots(&self, name: &str, definition: &str) -> Result<(), LogError> {
        let mut builds = self.builds(name)?;
        let (keep, gone): (Vec<_>, Vec<_>) = builds.snapshots.into_iter().partition(|one| one.definition == definition);
        builds.snapshots = keep;
        self.save_builds(name, &builds)?;
        gone.iter().try_for_each(|one| self.remove(&place(name, one.number)))
    }

    /// Hands every entry of a snapshot to `each`, in order of key.
    pub(super) fn read_snapshot(
        &self,
        name: &str,
        snapshot: &Snapshot,
        mut each: impl FnMut(&str, Stored) -> Result<(), LogError>,
    ) -> Result<(), LogError> {
        let damaged = || LogError::Store(format!("a snapshot of projection '{name}' cannot be read"));
        let place = place(name, snapshot.number);
        let mut last: Option<String> = None;
        loop {
            let packs = self.raw_page(&place, last.as_deref(), STEP)?;
            for (_, mut pack) in packs.iter().cloned() {
                while pack.has_remaining() {
                    let key = read_slice(&mut pack).map_err(|_| damaged())?;
                    let entry = read_slice(&mut pack).map_err(|_| damaged())?;
                    let key = std::str::from_utf8(&key).map_err(|_| damaged())?;
                    each(key, decode(entry).ok_or_else(damaged)?)?;
                }
            }
            match packs.into_iter().next_back() {
                Some((key, _)) => last = Some(key),
                None => return Ok(()),
            }
        }
    }
}

struct Writer<'a> {
    shelf: &'a Shelf,
    place: String,
    position: Position,
    count: u64,
    packs: Vec<(String, Option<Bytes>)>,
}

impl Writer<'_> {
    fn put(&mut self, pack: Vec<u8>) -> Result<(), LogError> {
        self.packs.push((format!("{:08}", self.count), Some(pack.into())));
        self.count += 1;
        if self.packs.len() >= STEP { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), LogError> {
        self.shelf.raw_commit(&self.place, std::mem::take(&mut self.packs), self.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_snapshot_that_is_missed_least_goes_first() {
        let at =
            |position: u64| Snapshot { number: position, definition: String::new(), position: Position::new(position) };
        let mut all: Vec<Snapshot> = [10, 20, 30, 32, 40, 50, 60, 70].map(at).into();
        assert_eq!(superfluous(&all), None);
        all.push(at(80));
        assert_eq!(superfluous(&all), Some(3), "30 and 40 stand for what lies between");
    }
}
