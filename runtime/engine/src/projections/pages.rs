//! Folding the log page by page: the next one is read while the one at hand is folded.

use std::time::{Duration, Instant};

use tidewire_log::LogError;
use tidewire_model::event::Event;
use tidewire_model::position::Position;
use tidewire_model::query::{Page, Query};
use tokio::runtime::RuntimeFlavor;
use tokio::task::JoinHandle;

use super::run::Run;
use super::task::Task;
use crate::pace::rest_after;

/// Events read at a time: as many as a processor's cache holds until they are folded.
const PAGE: usize = 500;
/// Work on one event after which a reducer rests: a script that has run into its limit.
const VERY_LONG: Duration = Duration::from_millis(50);

/// A page that is being read.
pub(super) struct Ahead {
    from: Position,
    page: JoinHandle<Result<Page, LogError>>,
}

/// Events that are timed together.
struct Timed {
    began: Instant,
    events: u64,
}

impl Timed {
    fn begin() -> Self {
        Timed { began: Instant::now(), events: 0 }
    }
}

impl Task {
    fn query(&self, from: Position) -> Query {
        Query::forwards(self.spec.filter.clone(), from, PAGE)
    }

    async fn next_page(&self, run: &mut Run) -> Result<Page, LogError> {
        let from = run.through.next();
        if let Some(ahead) = run.ahead.take().filter(|ahead| ahead.from == from)
            && let Ok(page) = ahead.page.await
        {
            return page;
        }
        self.log.read(self.query(from)).await
    }

    /// Has the page after this one read by another thread, if there are any.
    async fn read_ahead(&self, run: &mut Run, from: Position) {
        if self.runtime.runtime_flavor() == RuntimeFlavor::CurrentThread {
            return;
        }
        let (log, query) = (std::sync::Arc::clone(&self.log), self.query(from));
        let page = self.runtime.spawn(async move { log.read(query).await });
        run.ahead = Some(Ahead { from, page });
        // On the only thread of its kind, it begins now or when this page is done.
        tokio::task::yield_now().await;
    }

    /// Folds the next page, up to `limit` at most.
    pub(super) async fn fold_page(&self, run: &mut Run, limit: Position) -> Result<(), LogError> {
        let page = self.next_page(run).await?;
        if let Some(next) = page.next.filter(|next| *next <= limit) {
            self.read_ahead(run, next).await;
        }
        let mut timed = Timed::begin();
        for event in page.events.iter().take_while(|event| event.position <= limit) {
            if self.fold_event(run, event, &mut timed).await? {
                // What has come out so far is shown, and a stop is heard, long before the page is done.
                run.through = event.position.max(run.through);
                self.commit(run, false).await?;
                if self.shared.cancel.is_cancelled() {
                    return Ok(());
                }
            }
        }
        run.since_snapshot += page.events.len() as u64;
        run.through = page.next.map_or(page.head, Position::previous).min(limit).max(run.through);
        if run.commit_due(page.next.is_none()) {
            self.commit(run, false).await?;
        }
        Ok(())
    }

    /// Applies one event. A reducer that takes long works on a thread of its own; one that takes very long rests after it.
    /// Whether it did.
    async fn fold_event(&self, run: &mut Run, event: &Event, timed: &mut Timed) -> Result<bool, LogError> {
        let (reducer, tell) = (&self.spec.reducer, run.tells(event.position));
        if self.runtime.runtime_flavor() == RuntimeFlavor::CurrentThread {
            return run.fold.event(reducer, event, tell).map(|()| false);
        }
        match run.pace.is_slow() {
            true => tokio::task::block_in_place(|| run.fold.event(reducer, event, tell))?,
            false => run.fold.event(reducer, event, tell)?,
        }
        timed.events += 1;
        if timed.events < run.pace.timed_together() {
            return Ok(false);
        }
        let now = Instant::now();
        let took = now.duration_since(timed.began);
        run.pace.took(timed.events, u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
        *timed = Timed { began: now, events: 0 };
        if took <= VERY_LONG {
            return Ok(false);
        }
        tokio::select! {
            () = self.shared.cancel.cancelled() => {}
            () = tokio::time::sleep(rest_after(took)) => {}
        }
        *timed = Timed::begin();
        Ok(true)
    }
}
