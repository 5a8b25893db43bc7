//! The one task that keeps a read model: follows the log, folds, commits, tells.
//!
//! Invariant: entries and checkpoint go into the store in one commit, and a fold whose commit failed is thrown away, so
//! each event takes effect exactly once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use tidewire_log::{EventLog, LogError};
use tidewire_model::event::Event;
use tidewire_model::position::Position;
use tidewire_model::query::Query;
use tidewire_node_api::handles::{Changed, ProjectionSpec};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::beside;
use super::fold::{Fold, guarded};
use super::shelf::{Build, Shelf, Totals};
use crate::pace::{Pace, rest_after};

/// Events read at a time.
const PAGE: usize = 2_000;
/// While there is more to read, changes wait no longer than this for their commit.
const COMMIT_EVERY: Duration = Duration::from_millis(200);
/// How far the checkpoint may lag behind when nothing that matters has happened: so much is looked at again after a
/// restart, instead of a write for each event that does not concern the read model.
const IDLE_POSITIONS_MAX: u64 = 10_000;
/// Work on one event after which a reducer rests: a script that has run into its limit.
const VERY_LONG: Duration = Duration::from_millis(50);
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
    rebuild: AtomicBool,
    wake: Notify,
}

/// Figures for people.
#[derive(Debug, Clone, Default)]
pub(super) struct State {
    pub(super) totals: Totals,
    pub(super) building: Option<f64>,
    pub(super) failed: Option<String>,
}

impl Shared {
    pub(super) fn new() -> Self {
        Shared {
            place: RwLock::new(None),
            position: watch::channel(Position::ZERO).0,
            state: Mutex::default(),
            cancel: CancellationToken::new(),
            rebuild: AtomicBool::new(false),
            wake: Notify::new(),
        }
    }

    /// Asks for a new build of the same definition.
    pub(super) fn ask_rebuild(&self) {
        self.rebuild.store(true, Ordering::Release);
        self.wake.notify_one();
    }

    fn serve(&self, place: &str) {
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
    /// The head of the log when the keeping began, if it was known: what stands up to there is history.
    pub(super) began: Option<Position>,
}

enum End {
    Over,
    Rebuild,
}

/// One build on its way.
struct Run {
    build: Build,
    building: bool,
    fold: Fold,
    through: Position,
    stored: Position,
    committed: Instant,
    pace: Pace,
}

impl Run {
    fn swap_due(&self) -> bool {
        self.building && self.through >= self.build.quiet
    }

    fn commit_due(&self, caught_up: bool) -> bool {
        caught_up || self.swap_due() || self.fold.is_full() || self.committed.elapsed() > COMMIT_EVERY
    }

    fn write_due(&self) -> bool {
        let idle = self.through.get().saturating_sub(self.stored.get());
        self.fold.is_dirty() || self.fold.is_full() || self.swap_due() || idle >= IDLE_POSITIONS_MAX
    }
}

impl Task {
    /// Runs until it is cancelled or the log closes.
    pub(super) async fn run(self) {
        let mut pause = RETRY.0;
        loop {
            let started = Instant::now();
            let Err(error) = self.follow().await else { return };
            let text = error.full_text();
            tracing::warn!(projection = self.spec.name, error = text, "projection failed, trying again");
            self.shared.state.lock().failed = Some(text);
            if started.elapsed() > RETRY.1 {
                pause = RETRY.0;
            }
            tokio::select! {
                () = self.shared.cancel.cancelled() => return,
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
        loop {
            let again = self.shared.rebuild.swap(false, Ordering::AcqRel);
            let (build, building) = self.choose(again)?;
            match self.keep(build, building).await? {
                End::Over => return Ok(()),
                End::Rebuild => {}
            }
        }
    }

    /// Which build to go on with; a new one when there is none of this definition.
    fn choose(&self, again: bool) -> Result<(Build, bool), LogError> {
        let (name, definition) = (&self.spec.name, &self.spec.definition);
        let head = self.log.head();
        let mut builds = self.shelf.builds(name)?;
        // A checkpoint beyond the head belongs to another log.
        let usable = |build: &Build| -> Result<bool, LogError> {
            let checkpoint = self.shelf.checkpoint(&Shelf::place(name, build.number))?;
            Ok(!again && build.definition == *definition && checkpoint <= head)
        };
        // Built once more: readers were told of what the build before had stored, and are told from there on.
        let mut told = None;
        if let Some(next) = builds.next.take() {
            if usable(&next)? {
                return Ok((next, true));
            }
            told = (next.definition == *definition).then_some(next.quiet);
            self.shelf.remove(&Shelf::place(name, next.number))?;
        }
        if let Some(live) = &builds.live
            && usable(live)?
        {
            self.shelf.save_builds(name, &builds)?;
            return Ok((live.clone(), false));
        }
        if let Some(live) = builds.live.as_ref().filter(|live| again && live.definition == *definition) {
            told = Some(self.shelf.checkpoint(&Shelf::place(name, live.number))?);
        }
        let told = told.or(self.began).unwrap_or(head);
        builds.made += 1;
        let build = Build { number: builds.made, definition: definition.clone(), quiet: told.min(head) };
        builds.next = Some(build.clone());
        self.shelf.save_builds(name, &builds)?;
        tracing::info!(projection = name, events = head.get(), "building a projection from history");
        Ok((build, true))
    }

    async fn keep(&self, build: Build, building: bool) -> Result<End, LogError> {
        let place = Shelf::place(&self.spec.name, build.number);
        let fold = Fold::open(self.shelf.clone(), place, Arc::clone(&self.spec.reducer))?;
        let stored = self.shelf.checkpoint(fold.place())?;
        let mut run =
            Run { build, building, fold, through: stored, stored, committed: Instant::now(), pace: Pace::default() };
        let served = self.shelf.builds(&self.spec.name)?;
        if let Some(served) = served.served() {
            self.shared.serve(&Shelf::place(&self.spec.name, served.number));
        }
        self.publish(&run);
        let mut head = self.log.watch_head();
        loop {
            if self.shared.cancel.is_cancelled() {
                self.commit(&mut run, true).await?;
                return Ok(End::Over);
            }
            if self.shared.rebuild.load(Ordering::Acquire) {
                self.commit(&mut run, true).await?;
                return Ok(End::Rebuild);
            }
            let known = *head.borrow_and_update();
            if run.through < known {
                self.fold_page(&mut run).await?;
            } else {
                if run.swap_due() {
                    self.commit(&mut run, false).await?;
                }
                tokio::select! {
                    () = self.shared.cancel.cancelled() => {}
                    () = self.shared.wake.notified() => {}
                    changed = head.changed() => if changed.is_err() { return Ok(End::Over) },
                }
            }
        }
    }

    async fn fold_page(&self, run: &mut Run) -> Result<(), LogError> {
        let query = Query::forwards(self.spec.filter.clone(), run.through.next(), PAGE);
        let page = self.log.read(query).await?;
        let mut began = Instant::now();
        for event in &page.events {
            if self.fold_event(run, event, &mut began).await? {
                // What has come out so far is shown, and a stop is heard, long before the page is done.
                run.through = event.position.max(run.through);
                self.commit(run, false).await?;
                if self.shared.cancel.is_cancelled() {
                    return Ok(());
                }
            }
        }
        run.through = page.next.map_or(page.head, Position::previous).max(run.through);
        if run.commit_due(page.next.is_none()) {
            self.commit(run, false).await?;
        } else if run.building {
            self.publish(run);
        }
        // Others run on this thread too; memory answers without ever waiting.
        tokio::task::yield_now().await;
        Ok(())
    }

    /// Applies one event. A reducer that takes long works on a thread of its own; one that takes very long rests after it.
    /// Whether it did.
    async fn fold_event(&self, run: &mut Run, event: &Event, began: &mut Instant) -> Result<bool, LogError> {
        let tell = event.position > run.build.quiet;
        if self.runtime.runtime_flavor() == RuntimeFlavor::CurrentThread {
            return run.fold.event(event, tell).map(|()| false);
        }
        match run.pace.is_slow() {
            true => tokio::task::block_in_place(|| run.fold.event(event, tell))?,
            false => run.fold.event(event, tell)?,
        }
        let took = began.elapsed();
        run.pace.took(1, u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
        let rests = took > VERY_LONG;
        if rests {
            tokio::select! {
                () = self.shared.cancel.cancelled() => {}
                () = tokio::time::sleep(rest_after(took)) => {}
            }
        }
        *began = Instant::now();
        Ok(rests)
    }

    /// Stores what has changed, then shows and tells it.
    async fn commit(&self, run: &mut Run, last: bool) -> Result<(), LogError> {
        run.committed = Instant::now();
        if run.write_due() || (last && run.through > run.stored) {
            let (shelf, place, through) = (self.shelf.clone(), run.fold.place().to_owned(), run.through);
            let step = run.fold.step();
            self.blocking(move || shelf.commit(&place, step, through)).await?;
            run.stored = run.through;
        }
        if run.swap_due() {
            self.swap(&run.build, run.fold.place()).await?;
            run.building = false;
        }
        // Told before the position is shown: who waited for the position finds everything told.
        let told = run.fold.take_told();
        if !told.is_empty()
            && let Err(reason) = guarded(|| (self.changed)(&told))
        {
            tracing::error!(projection = self.spec.name, error = reason, "listener of a projection panicked");
        }
        self.publish(run);
        Ok(())
    }

    /// Lets readers see the new build, then removes the old one.
    async fn swap(&self, build: &Build, place: &str) -> Result<(), LogError> {
        let (shelf, name, build) = (self.shelf.clone(), self.spec.name.clone(), build.clone());
        let old = self
            .blocking(move || {
                let mut builds = shelf.builds(&name)?;
                let old = builds.live.replace(build.clone()).filter(|old| old.number != build.number);
                builds.next = None;
                shelf.save_builds(&name, &builds)?;
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

    fn publish(&self, run: &Run) {
        let part = if run.build.quiet == Position::ZERO {
            1.0
        } else {
            (run.through.get() as f64 / run.build.quiet.get() as f64).min(1.0)
        };
        {
            let mut state = self.shared.state.lock();
            state.totals = run.fold.totals();
            state.building = run.building.then_some(part);
            state.failed = None;
        }
        if !run.building {
            self.shared.position.send_replace(run.through);
        }
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, LogError> + Send + 'static,
    ) -> Result<T, LogError> {
        let done = beside(&self.runtime, work).await;
        done.unwrap_or_else(|error| Err(LogError::Store(error.to_string())))
    }
}
