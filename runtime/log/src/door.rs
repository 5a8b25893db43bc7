//! Where appends stand in line while the data of one of them is being stored.
//!
//! Who comes later must not be queued earlier, but nobody waits while nothing is being stored.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tidewire_model::append::{AppendError, AppendRequest};
use tokio::sync::{Mutex, MutexGuard};

use crate::LogError;
use crate::indexer::JOURNAL_RESERVE;
use crate::shared::Shared;

/// The line. Its mutex is fair: turns come in the order of the first poll.
#[derive(Default)]
pub(crate) struct Door {
    line: Mutex<()>,
    waiting: AtomicUsize,
}

impl Door {
    /// Whether nobody stands in line.
    pub(crate) fn is_free(&self) -> bool {
        self.waiting.load(Ordering::Acquire) == 0
    }

    /// Makes requests ready to be queued. Whoever comes later has to wait while the place is held, so that order is
    /// kept; meanwhile several prepare side by side.
    pub(crate) async fn prepare(
        &self,
        shared: &Shared,
        mut requests: Vec<AppendRequest>,
    ) -> (Vec<Result<AppendRequest, AppendError>>, Option<Place<'_>>) {
        let bodies = &shared.bodies;
        let settled = bodies.is_settled();
        if settled && self.is_free() && !bodies.concern(&requests) {
            let checked = requests.into_iter().map(|mut request| bodies.check(&mut request).map(|()| request));
            return (checked.collect(), None);
        }
        let mut place = self.join();
        if !settled {
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
                let checked = requests.into_iter().zip(checked);
                checked.map(|(request, check)| check.and_then(|()| bodies.prepare(request))).collect::<Vec<_>>()
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

    /// Joins the line, at once; the turn comes with [`Place::turn`].
    pub(crate) fn join(&self) -> Place<'_> {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        Place { door: self, turn: None }
    }
}

/// A place in the line; left when dropped.
pub(crate) struct Place<'a> {
    door: &'a Door,
    turn: Option<MutexGuard<'a, ()>>,
}

impl Place<'_> {
    /// Waits for the turn. The order is that of the first polls.
    pub(crate) async fn turn(&mut self) {
        if self.turn.is_none() {
            self.turn = Some(self.door.line.lock().await);
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        // The next one may pass only when nobody can overtake it any more.
        self.turn = None;
        self.door.waiting.fetch_sub(1, Ordering::AcqRel);
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
