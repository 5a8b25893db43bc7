//! Read models: kept up to date by one task each, readable by anyone, exactly once per event.
//!
//! ```text
//!   log ──► task ──► fold (state in memory, bounded) ──► one commit: entries + checkpoint ──► changed(…)
//!                      build 7 is served ◄── readers          build 8 is made beside it, then swapped in
//! ```
//! What a read model computes is the reducer's business; how it is stored, the log crate's.

mod anew;
mod answer;
mod asks;
mod choice;
mod codec;
mod compare;
mod erasing;
mod fold;
mod pages;
mod past;
mod retained;
mod run;
mod service;
mod shelf;
mod snapshot;
mod status;
mod task;
mod watch;

use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use tidewire_log::{EventLog, LogError, StoreHealth};
use tidewire_model::position::Position;
use tidewire_node_api::handles::{
    At, BoxFuture, Changed, Entry, HandleError, Progress, ProjectionGuard, ProjectionSpec, Projections,
};
use tidewire_node_api::selection::{Selected, Selection, SelectionError};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinHandle};

use crate::log_handle::handle_error;
pub use asks::Skipped;
pub use compare::{Comparison, Difference};
use erasing::{Erasing, Withheld, refusal};
pub use past::Past;
pub use retained::Gap;
use shelf::{NAME_MAX, Shelf};
use status::progress;
pub use status::{Building, Parked, ProjectionDetails, ProjectionStatus};
use task::{Shared, Task};
pub use watch::{INCOMPLETE, RECOVERED, STALLED};

/// Entries read from the store at a time.
const SCAN_PAGE: usize = 1_000;

/// Keeps read models. A clone is the same service. What is not `async` waits for the store while that is being opened.
#[derive(Clone)]
pub struct ProjectionService {
    inner: Arc<Inner>,
}

struct Inner {
    log: Arc<dyn EventLog>,
    shelf: Shelf,
    runtime: Handle,
    kept: Mutex<BTreeMap<String, Kept>>,
    form: OnceLock<anew::Form>,
    erasing: Arc<Erasing>,
    /// As many go through history at a time as there are cores.
    passes: Arc<Semaphore>,
    /// The last looks back.
    past: Mutex<Vec<Arc<Past>>>,
}

/// A read model that a node keeps, or kept until a moment ago.
#[derive(Clone)]
struct Kept {
    spec: Arc<ProjectionSpec>,
    shared: Arc<Shared>,
    task: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl Kept {
    fn is_running(&self) -> bool {
        !self.shared.cancel.is_cancelled()
    }
}

impl ProjectionService {
    /// A service whose read models lie in the store beside `log` and whose tasks run on `runtime`.
    pub fn new(log: Arc<dyn EventLog>, runtime: Handle) -> Self {
        let shelf = Shelf::new(log.projections());
        let inner = Arc::new(Inner {
            log,
            shelf,
            runtime,
            kept: Mutex::default(),
            past: Mutex::default(),
            form: OnceLock::new(),
            erasing: Arc::default(),
            passes: Arc::new(Semaphore::new(std::thread::available_parallelism().map_or(1, NonZero::get))),
        });
        inner.runtime.spawn(watch::watch(Arc::downgrade(&inner)));
        ProjectionService { inner }
    }

    /// Names of all read models, also of those that no node keeps any more.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn names(&self) -> Result<Vec<String>, HandleError> {
        let mut names = self.inner.shelf.names().map_err(|error| handle_error(&error))?;
        names.extend(self.inner.kept.lock().keys().cloned());
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    /// How a read model is; `None` when there is none of this name.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn status(&self, name: &str) -> Result<Option<ProjectionStatus>, HandleError> {
        self.inner.status(name).map_err(|error| handle_error(&error))
    }

    /// Waits until every event up to `position` has taken effect on what readers see.
    ///
    /// # Errors
    /// When no node keeps the read model and it has not got that far, or when its keeping ends meanwhile.
    pub async fn wait_for(&self, name: &str, position: Position) -> Result<(), HandleError> {
        if let Some(kept) = self.inner.kept(name).filter(Kept::is_running) {
            let mut reached = kept.shared.position.subscribe();
            tokio::select! {
                reached = reached.wait_for(|reached| *reached >= position) => if reached.is_ok() { return Ok(()) },
                () = kept.shared.cancel.cancelled() => {}
            }
            return Err(not_kept(name));
        }
        match self.status(name)? {
            Some(status) if status.position >= position => Ok(()),
            _ => Err(not_kept(name)),
        }
    }

    /// Entries in order of key: those that begin with `prefix`, after the key `after`, at most `limit`.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn page(&self, name: &str, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<Entry>, HandleError> {
        self.inner.page(name, prefix, after, limit)
    }

    /// Ends all keeping; what is folded is stored first.
    pub async fn close(&self) {
        let all: Vec<Kept> = self.inner.kept.lock().values().cloned().collect();
        for kept in &all {
            kept.shared.cancel.cancel();
        }
        for kept in all {
            let task = kept.task.lock().take();
            if let Some(task) = task {
                // A task that panicked has nothing more to store.
                let _ = task.await;
            }
        }
    }
}

/// Does work that waits for the store on a thread that may wait. Where there is only one, the store is in memory and
/// answers at once.
async fn beside<T: Send + 'static>(
    runtime: &Handle,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, JoinError> {
    match runtime.runtime_flavor() {
        RuntimeFlavor::CurrentThread => Ok(work()),
        _ => runtime.spawn_blocking(work).await,
    }
}

fn not_kept(name: &str) -> HandleError {
    HandleError::new(format!("no node keeps the projection \"{name}\"; deploy a projector with this name"))
}

impl Inner {
    fn kept(&self, name: &str) -> Option<Kept> {
        self.kept.lock().get(name).cloned()
    }

    /// The build that readers see.
    fn place(&self, name: &str) -> Result<Option<String>, LogError> {
        if let Some(place) = self.kept(name).and_then(|kept| kept.shared.place.read().clone()) {
            return Ok(Some(place));
        }
        if name.is_empty() || name.len() > NAME_MAX {
            return Ok(None);
        }
        Ok(self.shelf.builds(name)?.served().map(|build| Shelf::place(name, build.number)))
    }

    /// Reads from the build that is served, once more if another one took its place meanwhile.
    fn read<T>(&self, name: &str, read: impl Fn(&str) -> Result<T, LogError>) -> Result<Option<T>, LogError> {
        loop {
            let Some(place) = self.place(name)? else { return Ok(None) };
            let found = read(&place);
            if self.place(name)?.as_ref() == Some(&place) {
                return found.map(Some);
            }
        }
    }

    /// What is not shown of a read model, unless nothing of it is.
    fn readable(&self, name: &str) -> Result<Withheld, HandleError> {
        let kept = self.kept(name);
        match self.erasing.withheld(name, kept.as_ref().map(|kept| &*kept.spec)) {
            Withheld::Everything => Err(refusal(name)),
            some => Ok(some),
        }
    }

    fn page(&self, name: &str, prefix: &str, after: Option<&str>, limit: usize) -> Result<Vec<Entry>, HandleError> {
        let withheld = self.readable(name)?;
        let found = self.read(name, |place| {
            let mut entries: Vec<Entry> = Vec::new();
            let mut last = after.map(str::to_owned);
            while entries.len() < limit {
                let wanted = (limit - entries.len()).min(SCAN_PAGE);
                let page = self.shelf.page(place, prefix, last.as_deref(), wanted)?;
                let complete = page.len() < wanted;
                last = page.last().map(|(key, _)| key.clone()).or(last);
                let shown = page.into_iter().filter(|(key, _)| !withheld.has(key));
                entries.extend(shown.map(|(key, stored)| stored.into_entry(key)));
                if complete {
                    break;
                }
            }
            Ok(entries)
        });
        Ok(found.map_err(|error| handle_error(&error))?.unwrap_or_default())
    }

    fn status(&self, name: &str) -> Result<Option<ProjectionStatus>, LogError> {
        let head = self.log.head();
        let lag = |position: Position| head.get().saturating_sub(position.get());
        if let Some(kept) = self.kept(name).filter(Kept::is_running) {
            let progress = progress(&kept.shared, head);
            return Ok(Some(ProjectionStatus {
                name: name.to_owned(),
                kept: true,
                position: progress.position,
                lag: progress.lag,
                keys: progress.keys,
                parked: progress.parked,
                building: progress.building,
                build: kept.shared.state.lock().building,
                failed: progress.failed,
            }));
        }
        let Some(place) = self.place(name)? else { return Ok(None) };
        let (position, totals) = (self.shelf.checkpoint(&place)?, self.shelf.totals(&place)?);
        Ok(Some(ProjectionStatus {
            name: name.to_owned(),
            kept: false,
            position,
            lag: lag(position),
            keys: totals.keys,
            parked: totals.parked,
            ..ProjectionStatus::default()
        }))
    }

    async fn entry(&self, name: &str, key: &str) -> Result<Option<Entry>, HandleError> {
        let failed = |error: LogError| handle_error(&error);
        self.log.ready().await.map_err(failed)?;
        if self.readable(name)?.has(key) {
            return Err(refusal(name));
        }
        let found = self.read(name, |place| self.shelf.entry(place, key)).map_err(failed)?;
        Ok(found.flatten().map(|stored| stored.into_entry(key)))
    }

    async fn entry_at(&self, name: &str, key: &str, at: At) -> Result<Option<Entry>, HandleError> {
        let failed = |error: LogError| handle_error(&error);
        let until = past::position_at(&*self.log, at).await.map_err(failed)?;
        let Some(kept) = self.kept(name) else { return Err(not_kept(name)) };
        if !self.readable(name)?.is_nothing() {
            return Err(refusal(name));
        }
        // Nothing happened to the key since: the entry as it is now is the answer.
        let position = *kept.shared.position.borrow();
        if position >= until {
            let now = self.entry(name, key).await?;
            if now.as_ref().is_some_and(|now| now.position <= until) {
                return Ok(now);
            }
        }
        let start = self.start_at(name, &kept, until).await?;
        let (shelf, of, wanted) = (self.shelf.clone(), name.to_owned(), key.to_owned());
        let begun = self.blocking(move || start.entry(&shelf, &of, &wanted)).await?;
        past::entry_at(&self.log, &kept.spec, key, until, begun).await.map_err(failed)
    }
}

struct Guard {
    inner: Arc<Inner>,
    shared: Arc<Shared>,
}

impl ProjectionGuard for Guard {
    fn progress(&self) -> Option<Progress> {
        Some(progress(&self.shared, self.inner.log.head()))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.shared.cancel.cancel();
    }
}

impl Projections for ProjectionService {
    fn keep(&self, spec: ProjectionSpec, changed: Changed) -> Result<Box<dyn ProjectionGuard>, HandleError> {
        let name = spec.name.clone();
        if name.is_empty() || name.len() > NAME_MAX || name.chars().any(char::is_control) {
            let text = format!("\"{name}\" cannot name a projection: use 1 to {NAME_MAX} printable bytes");
            return Err(HandleError::new(text));
        }
        let definition = self.inner.definition(&spec);
        let mut all = self.inner.kept.lock();
        let before = all.get(&name).cloned();
        if before.as_ref().is_some_and(Kept::is_running) {
            let text = format!("another node keeps the projection \"{name}\" already; give one of them another name");
            return Err(HandleError::new(text));
        }
        let shared = Arc::new(Shared::new(definition));
        if let Some(before) = &before {
            shared.place.write().clone_from(&before.shared.place.read());
        }
        let opening = matches!(self.inner.log.health().store, StoreHealth::Opening);
        let task = Task {
            began: (!opening).then(|| self.inner.log.head()),
            log: Arc::clone(&self.inner.log),
            shelf: self.inner.shelf.clone(),
            spec: Arc::new(spec),
            changed,
            shared: Arc::clone(&shared),
            runtime: self.inner.runtime.clone(),
            erasing: Arc::clone(&self.inner.erasing),
            passes: Arc::clone(&self.inner.passes),
        };
        let spec = Arc::clone(&task.spec);
        let running = self.inner.runtime.spawn(async move {
            // The last commit of the predecessor comes first.
            let predecessor = before.and_then(|before| before.task.lock().take());
            if let Some(predecessor) = predecessor {
                let _ = predecessor.await;
            }
            task.run().await;
        });
        let kept = Kept { spec, shared: Arc::clone(&shared), task: Arc::new(Mutex::new(Some(running))) };
        all.insert(name, kept);
        Ok(Box::new(Guard { inner: Arc::clone(&self.inner), shared }))
    }

    fn get(&self, name: &str, key: &str) -> BoxFuture<Result<Option<Entry>, HandleError>> {
        let (inner, name, key) = (Arc::clone(&self.inner), name.to_owned(), key.to_owned());
        Box::pin(async move { inner.entry(&name, &key).await })
    }

    fn select(&self, name: &str, selection: Selection, at: Option<At>) -> BoxFuture<Result<Selected, SelectionError>> {
        let (service, name) = (self.clone(), name.to_owned());
        Box::pin(async move { service.select_entries(name, selection, at).await })
    }

    fn get_at(&self, name: &str, key: &str, at: At) -> BoxFuture<Result<Option<Entry>, HandleError>> {
        let (inner, name, key) = (Arc::clone(&self.inner), name.to_owned(), key.to_owned());
        Box::pin(async move { inner.entry_at(&name, &key, at).await })
    }
}

#[cfg(test)]
mod erasing_tests;
#[cfg(test)]
mod keeping_tests;
#[cfg(test)]
mod retained_tests;
#[cfg(test)]
mod tests;
