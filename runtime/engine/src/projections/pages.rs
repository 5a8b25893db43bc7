//! Folding the log: history in long passes on a thread that waits for the disk, what is new in pages.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tidewire_log::LogError;
use tidewire_model::event::Event;
use tidewire_model::position::Position;
use tidewire_model::query::{Page, Query};
use tokio::runtime::RuntimeFlavor;
use tokio::task::block_in_place;

use super::run::Run;
use super::task::Task;
use crate::pace::rest_after;

/// New events read at a time. As soon as more wait, they are history.
const PAGE: usize = 500;
/// Events folded in one pass at most: beginning one takes as long as a few dozen of them.
const PASS: usize = 8_192;
/// After so long a pass ends, so that what came out is stored and a stop is heard.
const PASS_TIME: Duration = Duration::from_millis(20);
/// Work on one event after which a reducer rests: a script that has run into its limit.
const VERY_LONG: Duration = Duration::from_millis(50);

/// Events on their way into a build.
struct Folding<'f> {
    task: &'f Task,
    run: &'f mut Run,
    limit: Position,
    /// Whether it matters how long it takes: others run on this thread where there is only one, whatever is done.
    timed: bool,
    began: Instant,
    /// Events that are timed together, since when.
    together: (u64, Instant),
    end: Option<End>,
}

/// Why not all events were folded.
enum End {
    /// The next one is not to be folded yet.
    Limit,
    /// It is time for other things.
    Turn,
    /// One took very long.
    Rest(Duration),
    Failed(LogError),
}

impl<'f> Folding<'f> {
    fn begin(task: &'f Task, run: &'f mut Run, limit: Position, timed: bool) -> Self {
        let now = Instant::now();
        Folding { task, run, limit, timed, began: now, together: (0, now), end: None }
    }

    fn take(&mut self, events: &[Arc<Event>]) -> ControlFlow<()> {
        for event in events {
            self.end = if event.position > self.limit { Some(End::Limit) } else { self.fold(event) };
            if self.end.is_some() {
                return ControlFlow::Break(());
            }
        }
        if self.run.fold.is_full() {
            self.end = Some(End::Turn);
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    /// Applies one event. Why there is to be no other one, if so.
    fn fold(&mut self, event: &Event) -> Option<End> {
        let tell = self.run.tells(event.position);
        if let Err(error) = self.run.fold.event(&self.task.spec.reducer, event, tell) {
            return Some(End::Failed(error));
        }
        self.run.through = event.position.max(self.run.through);
        self.run.since_snapshot += 1;
        self.together.0 += 1;
        if !self.timed || self.together.0 < self.run.pace.timed_together() {
            return None;
        }
        let now = Instant::now();
        let took = now.duration_since(self.together.1);
        self.run.pace.took(self.together.0, u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
        self.together = (0, now);
        if took > VERY_LONG {
            return Some(End::Rest(rest_after(took)));
        }
        (now.duration_since(self.began) > PASS_TIME).then_some(End::Turn)
    }
}

impl Task {
    fn query(&self, from: Position, limit: usize) -> Query {
        Query::forwards(self.spec.filter.clone(), from, limit)
    }

    /// Folds what comes next, up to `limit` at most.
    pub(super) async fn fold_page(&self, run: &mut Run, limit: Position) -> Result<(), LogError> {
        let from = run.through.next();
        let alone = self.runtime.runtime_flavor() == RuntimeFlavor::CurrentThread;
        let waiting = self.log.head().get().saturating_sub(run.through.get());
        let in_pass = !alone && (waiting > PAGE as u64 || run.pace.is_slow());
        let (page, end) = if in_pass {
            self.log.ready().await?;
            // As many at a time as the machine can do at once.
            let _turn = self.passes.acquire().await;
            block_in_place(|| {
                let mut folding = Folding::begin(self, run, limit, true);
                let page = self.log.read_through(&self.query(from, PASS), &mut |events| folding.take(events));
                (page, folding.end)
            })
        } else {
            let page = self.log.read(self.query(from, PAGE)).await;
            let mut folding = Folding::begin(self, run, limit, !alone);
            if let Ok(page) = &page {
                let _ = folding.take(&page.events);
            }
            (page, folding.end)
        };
        self.after(run, limit, (page?, end)).await
    }

    /// Stores and shows what has come out, as far as that is due.
    async fn after(&self, run: &mut Run, limit: Position, (page, end): (Page, Option<End>)) -> Result<(), LogError> {
        let reached = page.next.map_or(page.head, Position::previous).min(limit);
        match end {
            Some(End::Failed(error)) => return Err(error),
            None | Some(End::Limit) => {
                run.through = reached.max(run.through);
                if run.commit_due(page.next.is_none()) {
                    self.commit(run, false).await?;
                }
            }
            Some(End::Turn) => {
                if run.commit_due(false) {
                    self.commit(run, false).await?;
                }
            }
            Some(End::Rest(rest)) => {
                self.commit(run, false).await?;
                tokio::select! {
                    () = self.shared.cancel.cancelled() => {}
                    () = tokio::time::sleep(rest) => {}
                }
            }
        }
        Ok(())
    }
}
