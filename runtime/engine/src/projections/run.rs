//! One build on its way: what has been folded, what is stored, how fast it goes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tidewire_log::LogError;
use tidewire_model::position::Position;
use tidewire_node_api::handles::ProjectionSpec;

use super::fold::Fold;
use super::shelf::{Build, Shelf};
use super::snapshot;
use super::status::Building;
use crate::pace::Pace;

/// While there is more to read, changes wait no longer than this for their commit.
const COMMIT_EVERY: Duration = Duration::from_millis(200);
/// The same while it is built from history and nobody looks at it.
const COMMIT_EVERY_BUILDING: Duration = Duration::from_secs(1);
/// How far the checkpoint may lag behind when nothing that matters has happened: so much is looked at again after a
/// restart, instead of a write for each event that does not concern the read model.
const IDLE_POSITIONS_MAX: u64 = 10_000;

pub(super) struct Run {
    pub(super) build: Build,
    /// From history, not yet served or served for want of another.
    pub(super) building: bool,
    /// Made beside one that is kept up to date meanwhile; it takes its place where both have got to the same position.
    pub(super) beside: bool,
    /// Compared and waiting to be swapped in.
    pub(super) ready: bool,
    pub(super) fold: Fold,
    pub(super) through: Position,
    pub(super) stored: Position,
    pub(super) committed: Instant,
    pub(super) pace: Pace,
    /// Events since the last snapshot.
    pub(super) since_snapshot: u64,
    began: (Instant, Position),
}

impl Run {
    /// Goes on with a build where the store has it.
    pub(super) fn open(shelf: &Shelf, spec: &ProjectionSpec, build: Build, building: bool) -> Result<Run, LogError> {
        let place = Shelf::place(&spec.name, build.number);
        let fold = Fold::open(shelf.clone(), place, Arc::clone(&spec.reducer))?;
        let through = shelf.checkpoint(fold.place())?;
        let now = Instant::now();
        Ok(Run {
            build,
            building,
            beside: false,
            ready: false,
            fold,
            through,
            stored: through,
            committed: now,
            pace: Pace::default(),
            since_snapshot: 0,
            began: (now, through),
        })
    }

    /// The same, made beside the build at `place`.
    pub(super) fn beside(self, place: String) -> Run {
        Run { beside: true, fold: self.fold.with_marks_of(Some(place)), ..self }
    }

    /// Built from history, and done with it. One that is made beside another is swapped by the task.
    pub(super) fn swap_due(&self) -> bool {
        self.building && !self.beside && self.through >= self.build.quiet
    }

    pub(super) fn tells(&self, position: Position) -> bool {
        !self.beside && position > self.build.quiet
    }

    pub(super) fn commit_due(&self, caught_up: bool) -> bool {
        let every = if self.building { COMMIT_EVERY_BUILDING } else { COMMIT_EVERY };
        (caught_up && !self.beside) || self.swap_due() || self.fold.is_full() || self.committed.elapsed() > every
    }

    pub(super) fn write_due(&self) -> bool {
        let idle = self.through.get().saturating_sub(self.stored.get());
        self.fold.is_dirty() || self.fold.is_full() || self.swap_due() || idle >= IDLE_POSITIONS_MAX
    }

    pub(super) fn snapshot_due(&self) -> bool {
        self.since_snapshot >= snapshot::EVERY && !self.beside && self.fold.totals().keys <= snapshot::KEYS_MAX
    }

    /// How far it is on its way to `target`.
    pub(super) fn progress(&self, target: Position) -> Building {
        let target = if self.beside { target } else { self.build.quiet };
        let part = |position: Position| {
            if target == Position::ZERO { 1.0 } else { position.get() as f64 / target.get() as f64 }
        };
        let rate = self.through.get().saturating_sub(self.began.1.get()) as f64
            / self.began.0.elapsed().as_secs_f64().max(0.001);
        let left = target.get().saturating_sub(self.through.get()) as f64;
        let eta_s = (rate > 0.0).then(|| left / rate);
        Building { done: part(self.through).min(1.0), events_per_s: rate, eta_s, ready: self.ready }
    }
}
