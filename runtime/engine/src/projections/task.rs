//! The one task that keeps a read model: follows the log, folds, commits, tells.
//!
//! Invariant: entries and checkpoint go into the store in one commit, and a fold whose commit failed is thrown away, so
//! each event takes effect exactly once.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use tidewire_log::{EventLog, LogError};
use tidewire_model::position::Position;
use tidewire_node_api::handles::{Changed, ProjectionSpec};
use tokio::runtime::Handle;
use tokio::sync::{Notify, Semaphore, watch};
use tokio_util::sync::CancellationToken;

use super::asks::{Ask, Asks};
use super::compare::compare;
use super::erasing::Erasing;
use super::fold::guarded;
use super::run::Run;
use super::shelf::{Build, Shelf, Totals};
use super::status::Building;
use super::{SCAN_PAGE, beside};
use crate::{Clock as _, SystemClock};

/// How often it is looked for what has become too old.
const SWEEP_EVERY: Duration = Duration::from_secs(3_600);
/// Pauses after a failure of the store: the first and the longest.
const RETRY: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// What the task shows to the service.
pub(super) struct Shared {
    /// The build that readers see.
    pub(super) place: RwLock<Option<String>>,
    /// Up to where it stands.
    pub(super) position: watch::Sender<Position>,
    pub(super) state: Mutex<State>,
    pub(super) cancel: CancellationToken,
    pub(super) asks: Asks,
    /// What it is made from, as of now: its own definition, and the form in which its events are read.
    pub(super) definition: RwLock<String>,
    wake: Notify,
}

/// Figures for people.
#[derive(Debug, Clone, Default)]
pub(super) struct State {
    pub(super) totals: Totals,
    pub(super) building: Option<Building>,
    pub(super) failed: Option<String>,
    pub(super) lacks: Position,
}

impl Shared {
    pub(super) fn new(definition: String) -> Self {
        Shared {
            definition: RwLock::new(definition),
            place: RwLock::new(None),
            position: watch::channel(Position::ZERO).0,
            state: Mutex::default(),
            cancel: CancellationToken::new(),
            asks: Asks::default(),
            wake: Notify::new(),
        }
    }

    /// Asks for something to be done between two events.
    pub(super) fn ask(&self, ask: Ask) {
        self.asks.push(ask);
        self.wake.notify_one();
    }

    pub(super) fn serve(&self, place: &str) {
        *self.place.write() = Some(place.to_owned());
    }
}

/// The task.
pub(super) struct Task {
    pub(super) log: Arc<dyn EventLog>,
    pub(super) shelf: Shelf,
    pub(super) spec: Arc<ProjectionSpec>,
    pub(super) changed: Changed,
    pub(super) shared: Arc<Shared>,
    pub(super) runtime: Handle,
    pub(super) erasing: Arc<Erasing>,
    /// Those that go through history take turns.
    pub(super) passes: Arc<Semaphore>,
    /// The head of the log when the keeping began, if it was known: what stands up to there is history.
    pub(super) began: Option<Position>,
}

/// What is being kept: the build that is served, one that is being made, or both.
pub(super) struct Runs {
    pub(super) live: Option<Run>,
    pub(super) next: Option<Run>,
    /// Whose turn it is while both have work.
    pub(super) turn: bool,
    /// Asked for and not possible yet.
    pub(super) later: VecDeque<Ask>,
}

impl Runs {
    fn each(&mut self) -> impl Iterator<Item = &mut Run> {
        self.live.iter_mut().chain(self.next.iter_mut())
    }

    /// The one that events take effect in for good.
    pub(super) fn main(&mut self) -> Option<&mut Run> {
        self.live.as_mut().or(self.next.as_mut())
    }
}

impl Task {
    /// Runs until it is cancelled or the log closes.
    pub(super) async fn run(self) {
        let mut pause = RETRY.0;
        loop {
            let started = Instant::now();
            let Err(error) = self.follow().await else {
                self.shared.asks.refuse_all("the projection is no longer kept");
                return;
            };
            let text = error.full_text();
            tracing::warn!(projection = self.spec.name, error = text, "projection failed, trying again");
            self.shared.state.lock().failed = Some(text);
            if started.elapsed() > RETRY.1 {
                pause = RETRY.0;
            }
            tokio::select! {
                () = self.shared.cancel.cancelled() => {
                    self.shared.asks.refuse_all("the projection is no longer kept");
                    return;
                }
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 2).min(RETRY.1);
        }
    }

    async fn follow(&self) -> Result<(), LogError> {
        tokio::select! {
            () = self.shared.cancel.cancelled() => return Ok(()),
            ready = self.log.ready() => ready?,
        }
        let retained = self.retained().await?;
        let mut runs = self.open(&retained).await?;
        let mut head = self.log.watch_head();
        let mut swept: Option<Instant> = None;
        loop {
            if self.shared.cancel.is_cancelled() {
                for run in runs.each() {
                    self.commit(run, true).await?;
                }
                return Ok(());
            }
            self.answer(&mut runs).await?;
            let known = *head.borrow_and_update();
            if self.advance(&mut runs, known).await? {
                continue;
            }
            if self.spec.reducer.expires() && swept.is_none_or(|swept| swept.elapsed() > SWEEP_EVERY) {
                swept = Some(Instant::now());
                self.sweep(&mut runs).await?;
            }
            tokio::select! {
                () = self.shared.cancel.cancelled() => {}
                () = self.shared.wake.notified() => {}
                changed = head.changed() => if changed.is_err() { return Ok(()) },
                () = tokio::time::sleep(SWEEP_EVERY), if self.spec.reducer.expires() => {}
            }
        }
    }

    /// Removes what has become too old.
    async fn sweep(&self, runs: &mut Runs) -> Result<(), LogError> {
        let Some(live) = &mut runs.live else { return Ok(()) };
        let now = SystemClock.now_ms();
        let mut last: Option<String> = None;
        loop {
            let (shelf, place) = (self.shelf.clone(), live.fold.place().to_owned());
            let page = self.blocking(move || shelf.page(&place, "", last.as_deref(), SCAN_PAGE)).await?;
            let keys: Vec<String> = page.into_iter().map(|(key, _)| key).collect();
            live.fold.expire(&keys, now)?;
            if live.fold.is_dirty() {
                self.commit(live, true).await?;
            }
            last = keys.into_iter().next_back();
            if last.is_none() || self.shared.cancel.is_cancelled() {
                return Ok(());
            }
        }
    }

    /// Takes one step; false when there is nothing to do.
    async fn advance(&self, runs: &mut Runs, known: Position) -> Result<bool, LogError> {
        let waits = |run: &Option<Run>, until: Position| run.as_ref().is_some_and(|run| run.through < until);
        let live_waits = waits(&runs.live, known);
        let limit = runs.live.as_ref().map_or(Position::new(u64::MAX), |live| live.through);
        let next_waits = waits(&runs.next, if runs.live.is_some() { limit } else { known });
        runs.turn = !runs.turn;
        let step = match (&mut runs.live, &mut runs.next) {
            (Some(live), Some(next)) if next.through == live.through && !next.ready => {
                self.meet(live, next).await?;
                true
            }
            (Some(live), _) if live_waits && (!next_waits || runs.turn) => {
                self.fold_page(live, Position::new(u64::MAX)).await?;
                true
            }
            (_, Some(next)) if next_waits => {
                self.fold_page(next, limit).await?;
                true
            }
            (None, Some(next)) if next.swap_due() => {
                self.commit(next, false).await?;
                true
            }
            _ => false,
        };
        self.settle(runs).await?;
        self.publish(runs);
        if step {
            // Others run on this thread too; memory answers without ever waiting.
            tokio::task::yield_now().await;
        }
        Ok(step)
    }

    /// A build that has come out of history is the one to be kept from here on.
    pub(super) async fn settle(&self, runs: &mut Runs) -> Result<(), LogError> {
        let done = |next: &Run| (next.beside && next.ready && !next.build.hold) || (!next.beside && !next.building);
        if !runs.next.as_ref().is_some_and(done) {
            return Ok(());
        }
        let Some(mut next) = runs.next.take() else { return Ok(()) };
        if let Some(live) = runs.live.as_mut() {
            // At the same position, so that nothing is told twice or never.
            self.commit(live, true).await?;
            while next.through < live.through {
                self.fold_page(&mut next, live.through).await?;
            }
            next.build.quiet = next.through;
            next.beside = false;
            next.ready = false;
            self.commit(&mut next, false).await?;
        }
        runs.live = Some(next);
        Ok(())
    }

    /// Stores what has changed, then shows and tells it.
    pub(super) async fn commit(&self, run: &mut Run, last: bool) -> Result<(), LogError> {
        run.committed = Instant::now();
        if run.write_due() || (last && run.through > run.stored) {
            let (shelf, place, through) = (self.shelf.clone(), run.fold.place().to_owned(), run.through);
            let step = run.fold.step();
            self.blocking(move || shelf.commit(&place, step, through)).await?;
            run.stored = run.through;
            if self.spec.reducer.snapshots() && run.snapshot_due() {
                self.snapshot(run).await?;
            }
        }
        if run.swap_due() {
            self.swap(&run.build, run.fold.place()).await?;
            run.building = false;
        }
        // Told before the position is shown: who waited for the position finds everything told.
        let mut told = run.fold.take_told();
        if !told.is_empty() {
            let withheld = self.erasing.withheld(&self.spec.name, Some(&self.spec));
            told.retain(|entry| !withheld.has(&entry.key));
        }
        if !told.is_empty()
            && let Err(reason) = guarded(|| (self.changed)(&told))
        {
            tracing::error!(projection = self.spec.name, error = reason, "listener of a projection panicked");
        }
        if !run.building {
            // Before the position too: its numbers belong together.
            self.show(run);
            self.shared.position.send_replace(run.through);
        }
        Ok(())
    }

    /// Lets readers see the new build, then removes the old one.
    async fn swap(&self, build: &Build, place: &str) -> Result<(), LogError> {
        let (shelf, name, build) = (self.shelf.clone(), self.spec.name.clone(), build.clone());
        let new = place.to_owned();
        let old = self
            .blocking(move || {
                let mut builds = shelf.builds(&name)?;
                let old = builds.live.replace(build.clone()).filter(|old| old.number != build.number);
                builds.next = None;
                if let Some(old) = old.as_ref().filter(|_| !build.renewed)
                    && builds.comparison.is_none()
                {
                    builds.comparison = Some(compare(&shelf, &Shelf::place(&name, old.number), &new)?);
                }
                shelf.save_builds(&name, &builds)?;
                shelf.forget_snapshots(&name, &build.definition)?;
                Ok(old)
            })
            .await?;
        self.shared.serve(place);
        if let Some(old) = old {
            let (shelf, place) = (self.shelf.clone(), Shelf::place(&self.spec.name, old.number));
            self.blocking(move || shelf.remove(&place)).await?;
        }
        tracing::info!(projection = self.spec.name, "projection is complete");
        Ok(())
    }

    pub(super) fn publish(&self, runs: &mut Runs) {
        let target = runs.live.as_ref().map_or(Position::ZERO, |live| live.through);
        {
            let mut state = self.shared.state.lock();
            state.building = runs.next.as_ref().filter(|next| next.building).map(|next| next.progress(target));
            state.failed = None;
        }
        if let Some(main) = runs.main() {
            self.show(main);
        }
    }

    fn show(&self, run: &Run) {
        let mut state = self.shared.state.lock();
        state.totals = run.fold.totals();
        state.lacks = run.build.gap.as_ref().map_or(Position::ZERO, |gap| gap.through);
    }

    pub(super) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, LogError> + Send + 'static,
    ) -> Result<T, LogError> {
        let done = beside(&self.runtime, work).await;
        done.unwrap_or_else(|error| Err(LogError::Store(error.to_string())))
    }
}
