//! What waits to be written, and the answers that are waited for.
//!
//! The writer takes all that has come in one go and answers it in one go. Both sides are woken as seldom as can be: the
//! writer when as much has come as it waits for, and whoever appends when everything that was taken with it has its
//! answer. So a wake-up is shared by many events.

mod batch;

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};
use tidewire_model::append::{AppendError, AppendRequest, StateChange};
use tokio::sync::{Semaphore, SemaphorePermit, oneshot};

pub(crate) use batch::{Answer, Batch, Kind, Outcome};

/// So many bytes are enough for a group: the writer is woken when they have come, whatever it waits for.
pub(crate) const ENOUGH_BYTES: usize = 1024 * 1024;
/// How many KiB may wait; more stand at the door.
const ROOM_KIB: u32 = 96 * 1024;
/// Each append takes so many KiB besides its size, so that no more than 4,096 wait.
const EACH_KIB: usize = 24;
/// How long the writer waits for the next of those who were answered together, and come back with their next event.
const REGROUP: Duration = Duration::from_micros(300);

/// An append that is to be written.
pub(crate) struct Append {
    pub(crate) requests: Vec<AppendRequest>,
    pub(crate) state: Vec<StateChange>,
    pub(crate) size: usize,
    pub(crate) kind: Kind,
    /// Its place in its batch.
    pub(crate) place: usize,
}

/// Something to do for the writer.
pub(crate) enum Job {
    Append(Append),
    /// Close the segment under way, so that it can become an archive.
    CloseSegment(oneshot::Sender<()>),
}

#[derive(Default)]
struct State {
    jobs: Vec<Job>,
    /// Bytes and room of all jobs.
    bytes: usize,
    kib: usize,
    batch: Arc<Batch>,
    /// The writer wants to be woken when there are this many jobs; `None`: it does not wait.
    wanted: Option<usize>,
    /// Nothing more can come.
    closed: bool,
}

impl State {
    fn is_enough(&self) -> bool {
        self.closed || self.bytes >= ENOUGH_BYTES || self.wanted.is_some_and(|wanted| self.jobs.len() >= wanted)
    }
}

/// Appends on their way to the writer.
pub(crate) struct Queue {
    state: Mutex<State>,
    came: Condvar,
    room: Semaphore,
}

/// Room for an append of a size.
pub(crate) struct Room<'a> {
    permit: SemaphorePermit<'a>,
    size: usize,
}

impl Queue {
    /// A queue, and the end of it at which the writer stands.
    pub(crate) fn new() -> (Arc<Self>, WriterEnd) {
        let room = Semaphore::new(ROOM_KIB as usize);
        let queue = Arc::new(Self { state: Mutex::default(), came: Condvar::new(), room });
        (Arc::clone(&queue), WriterEnd(queue))
    }

    /// Room for an append, if there is some and nobody waits for it.
    pub(crate) fn try_room(&self, size: usize) -> Option<Room<'_>> {
        self.room.try_acquire_many(kib(size)).ok().map(|permit| Room { permit, size })
    }

    /// Waits for room. Turns come in the order of the first polls.
    pub(crate) async fn room(&self, size: usize) -> Result<Room<'_>, AppendError> {
        let permit = self.room.acquire_many(kib(size)).await.map_err(|_| AppendError::Closed)?;
        Ok(Room { permit, size })
    }

    /// Puts an append at the end.
    pub(crate) fn push(
        &self,
        requests: Vec<AppendRequest>,
        changes: Vec<StateChange>,
        kind: Kind,
        Room { permit, size }: Room<'_>,
    ) -> Result<Answer, AppendError> {
        let mut state = self.state.lock();
        if state.closed {
            return Err(AppendError::Closed);
        }
        let batch = Arc::clone(&state.batch);
        let index = batch.add();
        state.bytes += size;
        // Comes back when the writer has dealt with it.
        state.kib += permit.num_permits();
        permit.forget();
        self.put(state, Job::Append(Append { requests, state: changes, size, kind, place: index }));
        Ok(Answer { batch, index })
    }

    /// Asks for the segment under way to be closed, after all that was pushed before. `None` when the log is closed.
    pub(crate) fn push_close_segment(&self) -> Option<oneshot::Receiver<()>> {
        let (reply, done) = oneshot::channel();
        let state = self.state.lock();
        if state.closed {
            return None;
        }
        self.put(state, Job::CloseSegment(reply));
        Some(done)
    }

    fn put(&self, mut state: MutexGuard<'_, State>, job: Job) {
        state.jobs.push(job);
        let wake = state.wanted.is_some() && state.is_enough();
        if wake {
            // Once is enough.
            state.wanted = None;
        }
        drop(state);
        if wake {
            self.came.notify_one();
        }
    }

    /// Takes no more; what has come is still written.
    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.came.notify_one();
        self.room.close();
    }
}

/// The end of a queue at which the writer stands. Once it is gone, whoever waits hears that the log is closed.
pub(crate) struct WriterEnd(Arc<Queue>);

impl WriterEnd {
    /// Takes all that has come. Those who were answered together tend to come back together: it waits a moment for as
    /// many as there were before, for `most` at the longest and only while somebody comes, and never for a single one.
    /// `None` when nothing can come any more.
    pub(crate) fn take(&self, expected: usize, most: Duration) -> Option<Taken<'_>> {
        let mut state = self.0.state.lock();
        loop {
            if expected > 1 {
                self.regroup(&mut state, expected, most);
            }
            if !state.jobs.is_empty() {
                break;
            }
            if state.closed {
                return None;
            }
            state.wanted = Some(1);
            self.0.came.wait(&mut state);
        }
        let next = State { jobs: Vec::with_capacity(state.jobs.len()), closed: state.closed, ..State::default() };
        let State { jobs, kib, batch, .. } = std::mem::replace(&mut *state, next);
        Some(Taken { queue: &self.0, jobs, batch, kib })
    }

    fn regroup(&self, state: &mut MutexGuard<'_, State>, expected: usize, most: Duration) {
        let (since, most) = (Instant::now(), most.max(REGROUP));
        loop {
            let (before, left) = (state.jobs.len(), most.saturating_sub(since.elapsed()));
            state.wanted = Some(expected);
            if left.is_zero() || state.is_enough() {
                return;
            }
            self.0.came.wait_for(state, left.min(REGROUP));
            if state.jobs.len() == before {
                return;
            }
        }
    }
}

impl Drop for WriterEnd {
    fn drop(&mut self) {
        self.0.close();
        let mut state = self.0.state.lock();
        state.jobs.clear();
        let batch = std::mem::take(&mut state.batch);
        drop(state);
        batch.abandon();
    }
}

/// What the writer has taken; it is done with it once this is dropped.
pub(crate) struct Taken<'a> {
    queue: &'a Queue,
    pub(crate) jobs: Vec<Job>,
    pub(crate) batch: Arc<Batch>,
    kib: usize,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.queue.room.add_permits(self.kib);
        self.batch.abandon();
    }
}

fn kib(size: usize) -> u32 {
    u32::try_from(size / 1024 + EACH_KIB).unwrap_or(u32::MAX).min(ROOM_KIB)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use std::future::Future;
    use std::pin::Pin;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{Context, Poll, Wake};

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn push(queue: &Queue, size: usize) -> Answer {
        queue.push(Vec::new(), Vec::new(), Kind::Each, queue.try_room(size).unwrap()).unwrap()
    }

    fn poll(answer: &mut Answer, woken: &Arc<Woken>) -> Poll<Option<Outcome>> {
        Pin::new(answer).poll(&mut Context::from_waker(&Arc::clone(woken).into()))
    }

    fn places(taken: &Taken<'_>) -> Vec<usize> {
        let place = |job: &Job| match job {
            Job::Append(append) => append.place,
            Job::CloseSegment(_) => usize::MAX,
        };
        taken.jobs.iter().map(place).collect()
    }

    #[test]
    fn who_waits_for_the_first_of_many_answers_is_woken_once_and_finds_all() {
        let ((queue, end), woken) = (Queue::new(), Arc::<Woken>::default());
        let mut answers: Vec<_> = (0..5).map(|_| push(&queue, 10)).collect();
        assert!(poll(&mut answers[0], &woken).is_pending());
        let taken = end.take(1, Duration::ZERO).unwrap();
        let mut later = push(&queue, 10);
        assert_eq!(places(&taken), [0, 1, 2, 3, 4]);
        taken.batch.answer(places(&taken).into_iter().map(|place| (place, Outcome::Each(Vec::new()))));
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        for answer in &mut answers {
            assert_eq!(poll(answer, &woken), Poll::Ready(Some(Outcome::Each(Vec::new()))));
        }
        drop(taken);
        assert!(poll(&mut later, &woken).is_pending());
        assert_eq!(places(&end.take(1, Duration::ZERO).unwrap()), [0]);
    }

    #[test]
    fn what_is_never_answered_ends_as_closed() {
        let ((queue, end), woken) = (Queue::new(), Arc::<Woken>::default());
        let (mut taken, mut left) = (push(&queue, 10), None);
        {
            let _taken = end.take(1, Duration::ZERO).unwrap();
            left.replace(push(&queue, 10));
            assert!(poll(&mut taken, &woken).is_pending());
        }
        assert_eq!((poll(&mut taken, &woken), woken.0.load(Ordering::Relaxed)), (Poll::Ready(None), 1));
        let mut left = left.unwrap();
        assert!(poll(&mut left, &woken).is_pending());
        let room = queue.try_room(10).unwrap();
        drop(end);
        assert_eq!((poll(&mut left, &woken), woken.0.load(Ordering::Relaxed)), (Poll::Ready(None), 2));
        assert!(queue.push(Vec::new(), Vec::new(), Kind::All, room).is_err());
        assert!(queue.try_room(10).is_none() && queue.push_close_segment().is_none());
    }

    #[test]
    fn room_comes_back_when_the_writer_is_done() {
        let (queue, end) = Queue::new();
        let answers: Vec<_> = (0..4).map(|_| push(&queue, 23 * 1024 * 1024)).collect();
        assert!(queue.try_room(4 * 1024 * 1024).is_none());
        let taken = end.take(1, Duration::ZERO).unwrap();
        assert!(queue.try_room(4 * 1024 * 1024).is_none());
        drop(taken);
        assert!(queue.try_room(90 * 1024 * 1024).is_some());
        drop(answers);
    }

    #[test]
    fn what_has_come_is_still_taken_after_closing() {
        let (queue, end) = Queue::new();
        let _answer = push(&queue, 10);
        let _closing = queue.push_close_segment().unwrap();
        queue.close();
        assert_eq!(places(&end.take(9, Duration::from_secs(60)).unwrap()), [0, usize::MAX]);
        assert!(end.take(2, Duration::from_secs(60)).is_none());
    }
}
