//! Records that nodes keep and values of context: queued in order, made durable together by one task.
//!
//! What is queued while a commit is under way goes into the next one, so the number of syncs does not depend on the
//! number of records.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use compact_str::CompactString;
use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use tidewire_model::append::StateChange;
use tidewire_node_api::handles::{BoxFuture, HandleError, Log};
use tidewire_node_api::{Outcome, Token};
use tokio::sync::{Notify, mpsc, oneshot};

use crate::wiring::finish;

/// Records queued before nodes are given no more messages: a few commits' worth.
const QUEUED_MAX: usize = 16_384;

/// Records of one commit.
const COMMIT_MAX: usize = 4_096;

/// Commits under way.
const UNDER_WAY_MAX: usize = 16;

/// Pause before records are tried again that the log did not take.
const AGAIN: Duration = Duration::from_secs(1);

enum Job {
    Keep {
        change: StateChange,
        token: Option<Token>,
    },
    /// Answered when everything before it is durable, or was refused for good.
    Flush(oneshot::Sender<()>),
}

/// See the module. The task ends with the last handle.
pub struct Keeper {
    jobs: mpsc::UnboundedSender<Job>,
    /// Records queued and not durable. Invariant: nodes wait for room, so the channel does not grow without bound.
    queued: Arc<AtomicUsize>,
    room: Arc<Notify>,
}

impl Keeper {
    pub fn new(log: Arc<dyn Log>, runtime: &tokio::runtime::Handle) -> Self {
        let (jobs, queue) = mpsc::unbounded_channel();
        let keeper = Keeper { jobs, queued: Arc::default(), room: Arc::new(Notify::new()) };
        let task =
            Task { log, queued: keeper.queued.clone(), room: keeper.room.clone(), under_way: FuturesOrdered::new() };
        runtime.spawn(task.run(queue));
        keeper
    }

    /// Queues a change; `token` ends well once it is durable.
    pub fn keep(&self, change: StateChange, token: Option<Token>) {
        self.queued.fetch_add(1, Ordering::Relaxed);
        if let Err(mpsc::error::SendError(Job::Keep { token, .. })) = self.jobs.send(Job::Keep { change, token }) {
            finish(token, Outcome::Lost);
        }
    }

    /// Resolves when few enough records are queued.
    pub async fn wait_room(&self) {
        while self.queued.load(Ordering::Relaxed) > QUEUED_MAX {
            let room = self.room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            if self.queued.load(Ordering::Relaxed) > QUEUED_MAX {
                room.await;
            }
        }
    }

    /// Resolves when all that was queued so far is durable, or was refused for good.
    pub async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        if self.jobs.send(Job::Flush(done)).is_ok() {
            // A task that is gone has nothing left to flush.
            let _ = flushed.await;
        }
    }
}

/// What waits for one commit.
struct Waiting {
    count: usize,
    tokens: Vec<Token>,
    flushes: Vec<oneshot::Sender<()>>,
}

struct Task {
    log: Arc<dyn Log>,
    queued: Arc<AtomicUsize>,
    room: Arc<Notify>,
    under_way: FuturesOrdered<BoxFuture<(Result<(), HandleError>, Waiting)>>,
}

impl Task {
    async fn run(mut self, mut queue: mpsc::UnboundedReceiver<Job>) {
        let mut jobs = Vec::new();
        loop {
            let accept = self.under_way.len() < UNDER_WAY_MAX;
            tokio::select! {
                biased;
                Some((result, waiting)) = self.under_way.next(), if !self.under_way.is_empty() => self.end(&result, waiting),
                count = queue.recv_many(&mut jobs, COMMIT_MAX), if accept => {
                    if count == 0 {
                        break;
                    }
                    self.commit(jobs.drain(..)).await;
                }
            }
        }
        while let Some((result, waiting)) = self.under_way.next().await {
            self.end(&result, waiting);
        }
    }

    async fn commit(&mut self, jobs: impl Iterator<Item = Job>) {
        let mut changes = Vec::new();
        let mut waiting = Waiting { count: 0, tokens: Vec::new(), flushes: Vec::new() };
        for job in jobs {
            match job {
                Job::Keep { change, token } => {
                    waiting.count += 1;
                    changes.push(change);
                    waiting.tokens.extend(token);
                }
                Job::Flush(done) => waiting.flushes.push(done),
            }
        }
        let changes = latest(changes);
        if changes.is_empty() {
            self.under_way.push_back(Box::pin(std::future::ready((Ok(()), waiting))));
            return;
        }
        loop {
            match self.log.put(changes.clone()).await {
                Ok(durable) => {
                    self.under_way.push_back(Box::pin(async move { (durable.await, waiting) }));
                    return;
                }
                Err(error) if error.retryable => {
                    tracing::warn!(error = %error, "log does not take records now, trying again");
                    tokio::time::sleep(AGAIN).await;
                }
                Err(error) => return self.end(&Err(error), waiting),
            }
        }
    }

    fn end(&self, result: &Result<(), HandleError>, waiting: Waiting) {
        let outcome = match result {
            Ok(()) => Outcome::Done,
            Err(error) => {
                tracing::error!(error = %error, records = waiting.count, "records could not be kept");
                Outcome::Lost
            }
        };
        for token in waiting.tokens {
            token.finish(outcome);
        }
        let before = self.queued.fetch_sub(waiting.count, Ordering::Relaxed);
        if before > QUEUED_MAX {
            self.room.notify_waiters();
        }
        for done in waiting.flushes {
            // Whoever asked may have gone.
            let _ = done.send(());
        }
    }
}

/// Only the last change of each key, in the order of their first ones.
fn latest(changes: Vec<StateChange>) -> Vec<StateChange> {
    let mut places: std::collections::HashMap<CompactString, usize> = std::collections::HashMap::new();
    let mut kept: Vec<StateChange> = Vec::with_capacity(changes.len());
    for change in changes {
        match places.get(&change.key).and_then(|&place| kept.get_mut(place)) {
            Some(earlier) => earlier.value = change.value,
            None => {
                places.insert(change.key.clone(), kept.len());
                kept.push(change);
            }
        }
    }
    kept
}
