//! The way of an append to the writer.

use std::sync::Arc;

use bytes::Bytes;
use tidewire_model::append::{AppendError, AppendRequest, Appended, StateChange};

use super::JournalLog;
use crate::content::references;
use crate::plan::{MAX_BULK_BYTES, check_size, check_state};
use crate::queue::{Kind, Outcome};
use crate::{BoxFuture, Commit, Ticket};

/// How many bytes of a request lie in content files.
fn in_files(request: &AppendRequest) -> u64 {
    request.events.iter().flat_map(|event| references(&event.body)).map(|content| content.len).sum()
}

fn size_of(requests: &[AppendRequest], state: &[StateChange]) -> usize {
    requests.iter().map(AppendRequest::size).sum::<usize>()
        + state.iter().map(|change| change.value.as_ref().map_or(0, Bytes::len)).sum::<usize>()
}

impl JournalLog {
    /// The future does not wait, nor does it take much memory, for a commit that can be queued at once.
    pub(super) async fn queue_one(&self, mut commit: Commit) -> Result<Ticket, AppendError> {
        check_state(&commit.state)?;
        check_size(&commit.requests)?;
        let size = size_of(&commit.requests, &commit.state);
        let bodies = &self.inner.shared.bodies;
        if self.inner.door.lets_pass(bodies, &commit.requests)
            && let Some(room) = self.inner.queue.try_room(size)
        {
            commit.requests.iter_mut().try_for_each(|request| bodies.check(request))?;
            return self.inner.queue.push(commit.requests, commit.state, Kind::All, room).map(Ticket::queued);
        }
        let queued: BoxFuture<'_, _> = Box::pin(self.queue_in_turn(commit, size));
        queued.await
    }

    async fn queue_in_turn(&self, commit: Commit, size: usize) -> Result<Ticket, AppendError> {
        // Keeps the memory that waits to be written within bounds.
        let room = self.inner.queue.room(size).await?;
        let (requests, place) = self.inner.door.prepare(&self.inner.shared, commit.requests).await;
        let in_files = if place.is_some() { requests.iter().flatten().map(in_files).sum() } else { 0 };
        let bodies = Arc::clone(&self.inner.shared.bodies);
        let refused = |error| {
            bodies.note_refused(in_files);
            error
        };
        let requests = requests.into_iter().collect::<Result<_, _>>().map_err(refused)?;
        let answer = self.inner.queue.push(requests, commit.state, Kind::All, room).map_err(refused)?;
        Ok(Ticket::with_files(answer, bodies, in_files))
    }

    pub(super) async fn store_each(&self, mut requests: Vec<AppendRequest>) -> Vec<Result<Appended, AppendError>> {
        let (count, size) = (requests.len(), size_of(&requests, &[]));
        if size > MAX_BULK_BYTES {
            return vec![Err(AppendError::TooLarge { size, limit: MAX_BULK_BYTES }); count];
        }
        if let [request] = requests.as_mut_slice()
            && self.inner.door.lets_pass(&self.inner.shared.bodies, std::slice::from_ref(request))
            && let Some(room) = self.inner.queue.try_room(size)
        {
            let checked = self.inner.shared.bodies.check(request);
            let queued = checked.and_then(|()| self.inner.queue.push(requests, Vec::new(), Kind::Each, room));
            let stored = match queued {
                Ok(answer) => Outcome::each(answer.await).pop(),
                Err(error) => Some(Err(error)),
            };
            return vec![stored.unwrap_or(Err(AppendError::Closed))];
        }
        let stored: BoxFuture<'_, _> = Box::pin(self.store_each_in_turn(requests, size));
        stored.await
    }

    async fn store_each_in_turn(
        &self,
        requests: Vec<AppendRequest>,
        size: usize,
    ) -> Vec<Result<Appended, AppendError>> {
        let count = requests.len();
        let room = match self.inner.queue.room(size).await {
            Ok(room) => room,
            Err(error) => return vec![Err(error); count],
        };
        let (prepared, place) = self.inner.door.prepare(&self.inner.shared, requests).await;
        let mut sent = Vec::with_capacity(count);
        let in_files: Vec<_> = prepared.iter().flatten().map(in_files).collect();
        let refused: Vec<_> = prepared.into_iter().map(|request| request.map(|request| sent.push(request))).collect();
        let queued = self.inner.queue.push(sent, Vec::new(), Kind::Each, room);
        drop(place);
        let stored = match queued {
            Ok(answer) => Outcome::each(answer.await),
            Err(_) => Vec::new(),
        };
        for (_, bytes) in stored.iter().zip(in_files).filter(|(stored, _)| stored.is_err()) {
            self.inner.shared.bodies.note_refused(bytes);
        }
        let mut stored = stored.into_iter();
        let each = |refused: Result<(), _>| refused.and_then(|()| stored.next().unwrap_or(Err(AppendError::Closed)));
        refused.into_iter().map(each).collect()
    }
}
