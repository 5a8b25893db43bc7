//! Where appends stand in line while the data of one of them is being stored.
//!
//! Each task has a line of its own: of what one task appends, the later must not be queued earlier, and nobody waits for
//! what others store. Nobody waits either while nothing is being stored.

use std::collections::{BTreeSet, HashMap};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tidewire_model::append::{AppendError, AppendRequest};
use tokio::sync::{Mutex, Notify, OwnedMutexGuard};
use tokio::task::Id;

use crate::indexer::JOURNAL_RESERVE;
use crate::shared::Shared;
use crate::{Bodies, LogError};

/// A line. Its mutex is fair: turns come in the order of the first poll.
#[derive(Default)]
struct Line {
    turn: Arc<Mutex<()>>,
    waiting: usize,
}

#[derive(Default)]
struct Lines {
    /// By task; who is in no task shares one.
    by_task: HashMap<Option<Id>, Line>,
    /// The numbers of the places that are held.
    places: BTreeSet<u64>,
    next: u64,
}

/// The lines in which somebody waits.
#[derive(Default)]
pub(crate) struct Door {
    lines: parking_lot::Mutex<Lines>,
    /// In all lines.
    waiting: AtomicUsize,
    left: Notify,
}

impl Door {
    /// Whether requests can be queued as they are: there is nothing to prepare, and nobody of this task to wait for.
    pub(crate) fn lets_pass(&self, bodies: &Bodies, requests: &[AppendRequest]) -> bool {
        bodies.is_settled() && self.is_free() && !bodies.concern(requests)
    }

    /// Whether nobody of this task stands in line.
    fn is_free(&self) -> bool {
        self.waiting.load(Ordering::Acquire) == 0 || !self.lines.lock().by_task.contains_key(&tokio::task::try_id())
    }

    /// Waits until everybody who is in a line now has been queued, or has given up.
    pub(crate) async fn all_passed(&self) {
        let next = self.lines.lock().next;
        loop {
            let mut left = pin!(self.left.notified());
            left.as_mut().enable();
            if self.lines.lock().places.first().is_none_or(|first| *first >= next) {
                return;
            }
            left.await;
        }
    }

    /// Makes requests ready to be queued. Whoever comes later in the same task has to wait while the place is held,
    /// so that order is kept; meanwhile several prepare side by side.
    pub(crate) async fn prepare(
        &self,
        shared: &Shared,
        mut requests: Vec<AppendRequest>,
    ) -> (Vec<Result<AppendRequest, AppendError>>, Option<Place<'_>>) {
        let bodies = &shared.bodies;
        if self.lets_pass(bodies, &requests) {
            let checked = requests.into_iter().map(|mut request| bodies.check(&mut request).map(|()| request));
            return (checked.collect(), None);
        }
        let mut place = self.join();
        if !bodies.is_settled() {
            place.turn().await;
            if let Err(error) = wait_until_settled(shared).await {
                return (vec![Err(error); requests.len()], Some(place));
            }
        }
        let takes_disk = bodies.takes_disk(&requests);
        let size = requests.iter().map(AppendRequest::size).sum::<usize>() as u64;
        if takes_disk && !shared.has_room(JOURNAL_RESERVE + size) {
            place.turn().await;
            return (vec![Err(AppendError::DiskFull); requests.len()], Some(place));
        }
        let checked: Vec<_> = requests.iter_mut().map(|request| bodies.check(request)).collect();
        let count = requests.len();
        let work = {
            let bodies = Arc::clone(bodies);
            move || {
                let (mut refused, mut passed) = (Vec::with_capacity(count), Vec::with_capacity(count));
                for (request, checked) in requests.into_iter().zip(checked) {
                    refused.push(checked.map(|()| passed.push(request)));
                }
                let mut prepared = bodies.prepare(passed).into_iter();
                let each =
                    |checked: Result<(), _>| checked.and_then(|()| prepared.next().unwrap_or(Err(AppendError::Closed)));
                refused.into_iter().map(each).collect::<Vec<_>>()
            }
        };
        let prepared = if takes_disk {
            let work = tokio::task::spawn_blocking(work);
            place.turn().await;
            work.await.unwrap_or_else(|_| vec![Err(AppendError::Closed); count])
        } else {
            let prepared = work();
            place.turn().await;
            prepared
        };
        (prepared, Some(place))
    }

    /// Joins the line of this task, at once; the turn comes with [`Place::turn`].
    pub(crate) fn join(&self) -> Place<'_> {
        let task = tokio::task::try_id();
        let mut lines = self.lines.lock();
        let number = lines.next;
        lines.next += 1;
        lines.places.insert(number);
        let line = lines.by_task.entry(task).or_default();
        line.waiting += 1;
        self.waiting.fetch_add(1, Ordering::AcqRel);
        Place { door: self, task, number, line: Arc::clone(&line.turn), turn: None }
    }
}

/// A place in a line; left when dropped.
pub(crate) struct Place<'a> {
    door: &'a Door,
    task: Option<Id>,
    number: u64,
    line: Arc<Mutex<()>>,
    turn: Option<OwnedMutexGuard<()>>,
}

impl Place<'_> {
    /// Waits for the turn. The order is that of the first polls.
    pub(crate) async fn turn(&mut self) {
        if self.turn.is_none() {
            self.turn = Some(Arc::clone(&self.line).lock_owned().await);
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        // The next one may pass only when nobody can overtake it any more.
        self.turn = None;
        let mut lines = self.door.lines.lock();
        lines.places.remove(&self.number);
        if let Some(line) = lines.by_task.get_mut(&self.task) {
            line.waiting -= 1;
            if line.waiting == 0 {
                lines.by_task.remove(&self.task);
            }
        }
        self.door.waiting.fetch_sub(1, Ordering::AcqRel);
        drop(lines);
        self.door.left.notify_waiters();
    }
}

/// Which streams are personal stands in the log, so appends wait until it can be read.
async fn wait_until_settled(shared: &Shared) -> Result<(), AppendError> {
    match shared.store().await {
        Ok(_) => Ok(()),
        Err(_) if !shared.has_room(JOURNAL_RESERVE) => Err(AppendError::DiskFull),
        Err(LogError::Closed) => Err(AppendError::Closed),
        Err(error) => Err(shared.refusal().unwrap_or_else(|| AppendError::ReadOnly { reason: error.full_text() })),
    }
}
