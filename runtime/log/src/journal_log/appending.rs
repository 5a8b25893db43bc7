//! The way of an append to the writer.

use std::sync::Arc;

use bytes::Bytes;
use tidewire_model::append::{AppendError, AppendRequest, Appended, StateChange};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::{JournalLog, QUEUE_KIB};
use crate::content::references;
use crate::plan::{MAX_BULK_BYTES, check_size, check_state};
use crate::writer::{Job, Reply};
use crate::{Commit, Ticket};

/// How many bytes of a request lie in content files.
fn in_files(request: &AppendRequest) -> u64 {
    request.events.iter().flat_map(|event| references(&event.body)).map(|content| content.len).sum()
}

/// Room in the queue for an append of a size.
struct Permit {
    permit: OwnedSemaphorePermit,
    size: usize,
}

impl JournalLog {
    /// Keeps the memory that waits to be written within bounds.
    async fn enter(&self, requests: &[AppendRequest], state: &[StateChange]) -> Result<Permit, AppendError> {
        let size = requests.iter().map(AppendRequest::size).sum::<usize>()
            + state.iter().map(|change| change.value.as_ref().map_or(0, Bytes::len)).sum::<usize>();
        let kib = u32::try_from(size / 1024 + 1).unwrap_or(u32::MAX).min(QUEUE_KIB);
        let permit = Arc::clone(&self.inner.room).acquire_many_owned(kib).await.map_err(|_| AppendError::Closed)?;
        Ok(Permit { permit, size })
    }

    async fn send(
        &self,
        requests: Vec<AppendRequest>,
        state: Vec<StateChange>,
        Permit { permit, size }: Permit,
        reply: Reply,
    ) -> Result<(), AppendError> {
        let job = Job::Append { requests, state, size, reply, permit };
        self.inner.jobs.send(job).await.map_err(|_| AppendError::Closed)
    }

    pub(super) async fn queue_all(&self, commit: Commit) -> Result<Ticket, AppendError> {
        check_state(&commit.state)?;
        check_size(&commit.requests)?;
        let permit = self.enter(&commit.requests, &commit.state).await?;
        let (requests, place) = self.inner.door.prepare(&self.inner.shared, commit.requests).await;
        let in_files = if place.is_some() { requests.iter().flatten().map(in_files).sum() } else { 0 };
        let bodies = Arc::clone(&self.inner.shared.bodies);
        let refused = move |error: AppendError| {
            bodies.note_refused(in_files);
            error
        };
        let requests = requests.into_iter().collect::<Result<_, _>>().map_err(&refused)?;
        let (reply, answer) = oneshot::channel();
        self.send(requests, commit.state, permit, Reply::All(reply)).await?;
        Ok(Box::pin(async move { answer.await.unwrap_or(Err(AppendError::Closed)).map_err(refused) }))
    }

    pub(super) async fn store_each(&self, requests: Vec<AppendRequest>) -> Vec<Result<Appended, AppendError>> {
        let count = requests.len();
        let size = requests.iter().map(AppendRequest::size).sum();
        if size > MAX_BULK_BYTES {
            return vec![Err(AppendError::TooLarge { size, limit: MAX_BULK_BYTES }); count];
        }
        let permit = match self.enter(&requests, &[]).await {
            Ok(permit) => permit,
            Err(error) => return vec![Err(error); count],
        };
        let (prepared, place) = self.inner.door.prepare(&self.inner.shared, requests).await;
        let mut sent = Vec::with_capacity(count);
        let in_files: Vec<_> = prepared.iter().flatten().map(in_files).collect();
        let refused: Vec<_> = prepared.into_iter().map(|request| request.map(|request| sent.push(request))).collect();
        let (reply, answer) = oneshot::channel();
        let queued = self.send(sent, Vec::new(), permit, Reply::Each(reply)).await;
        drop(place);
        let stored = match queued {
            Ok(()) => answer.await.unwrap_or_default(),
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
