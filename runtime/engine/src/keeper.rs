//! Records that nodes keep and values of context: queued in order, made durable together by one task.
//!
//! What is queued while a commit is under way goes into the next one, so the number of syncs does not depend on the
//! number of records.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use compact_str::CompactString;
use futures_util::StreamExt;
use futures_util::stream::FuturesOrdered;
use tidewire_model::append::StateChange;
use tidewire_node_api::handles::{BoxFuture, HandleError, Log};
use tidewire_node_api::{Outcome, Token};
use tokio::sync::{Notify, mpsc, oneshot};

use crate::clock::Clock;
use crate::wiring::finish;

/// Records queued before nodes are given no more messages: a few commits' worth.
const QUEUED_MAX: usize = 16_384;

/// Records of one commit.
const COMMIT_MAX: usize = 4_096;

/// Bytes of one commit, unless it is a single record. The log takes 16 MiB.
const COMMIT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Bytes queued before nodes are given no more messages.
const QUEUED_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Commits under way.
const UNDER_WAY_MAX: usize = 16;

/// Milliseconds before records are tried again that the log did not take.
const AGAIN_MS: i64 = 1_000;

/// Milliseconds between commits of what changes often: the disk takes 20 records a second of such a value, however often
/// it changes, and a crash takes the changes of that time.
const LATEST_MS: i64 = 50;

/// Makes a record when its commit is about to be written.
pub type Latest = Box<dyn FnOnce() -> StateChange + Send>;

enum Job {
    Keep {
        change: StateChange,
        token: Option<Token>,
    },
    Latest(Latest),
    /// Answered when everything before it is durable, or was refused for good.
    Flush(oneshot::Sender<()>),
}

/// See the module. Clones are the same keeper; the task ends with the last one.
#[derive(Clone)]
pub struct Keeper {
    jobs: mpsc::UnboundedSender<Job>,
    queued: Arc<Queued>,
}

/// Records queued and not durable. Invariant: nodes wait for room, so the channel does not grow without bound.
#[derive(Default)]
struct Queued {
    records: AtomicUsize,
    bytes: AtomicUsize,
    room: Notify,
}

impl Queued {
    fn is_full(&self) -> bool {
        self.records.load(Ordering::Relaxed) > QUEUED_MAX || self.bytes.load(Ordering::Relaxed) > QUEUED_BYTES_MAX
    }

    fn add(&self, bytes: usize) {
        self.records.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    fn take(&self, records: usize, bytes: usize) {
        let was_full = self.is_full();
        self.records.fetch_sub(records, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        if was_full {
            self.room.notify_waiters();
        }
    }
}

/// Memory that a record takes.
fn size(change: &StateChange) -> usize {
    change.key.len() + change.value.as_ref().map_or(0, bytes::Bytes::len)
}

impl Keeper {
    pub fn new(log: Arc<dyn Log>, clock: Arc<dyn Clock>, runtime: &tokio::runtime::Handle) -> Self {
        let (jobs, queue) = mpsc::unbounded_channel();
        let keeper = Keeper { jobs, queued: Arc::default() };
        let task = Task {
            log,
            clock,
            queued: keeper.queued.clone(),
            under_way: FuturesOrdered::new(),
            latest: Vec::new(),
            rests_until: 0,
        };
        runtime.spawn(task.run(queue));
        keeper
    }

    /// Queues a change; `token` ends well once it is durable.
    pub fn keep(&self, change: StateChange, token: Option<Token>) {
        self.queued.add(size(&change));
        if let Err(mpsc::error::SendError(Job::Keep { token, .. })) = self.jobs.send(Job::Keep { change, token }) {
            finish(token, Outcome::Lost);
        }
    }

    /// Queues a record of whatever it is when its turn comes, for what changes more often than it has to be written.
    /// Whoever calls this sees to it that few are queued at a time. Not in order with other records.
    pub fn keep_latest(&self, latest: Latest) {
        // Without its task the runtime is going down, and nothing is kept any more.
        let _ = self.jobs.send(Job::Latest(latest));
    }

    /// Resolves when few enough records are queued.
    pub async fn wait_room(&self) {
        while self.queued.is_full() {
            let room = self.queued.room.notified();
            tokio::pin!(room);
            room.as_mut().enable();
            if self.queued.is_full() {
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

/// Changes of one commit, and what waits for it.
#[derive(Default)]
struct Batch {
    changes: Vec<StateChange>,
    bytes: usize,
    waiting: Waiting,
}

#[derive(Default)]
struct Waiting {
    records: usize,
    bytes: usize,
    tokens: Vec<Token>,
    flushes: Vec<oneshot::Sender<()>>,
}

struct Task {
    log: Arc<dyn Log>,
    clock: Arc<dyn Clock>,
    queued: Arc<Queued>,
    under_way: FuturesOrdered<BoxFuture<(Result<(), HandleError>, Waiting)>>,
    /// What changes often and waits for its turn.
    latest: Vec<Latest>,
    /// When that is.
    rests_until: i64,
}

impl Task {
    async fn run(mut self, mut queue: mpsc::UnboundedReceiver<Job>) {
        let mut jobs = Vec::new();
        let clock = self.clock.clone();
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
                () = clock.until(self.rests_until.min(clock.now_ms() + LATEST_MS)), if accept && !self.latest.is_empty() => {
                    self.commit(std::iter::empty()).await;
                }
            }
        }
        self.rests_until = 0;
        self.commit(std::iter::empty()).await;
        while let Some((result, waiting)) = self.under_way.next().await {
            self.end(&result, waiting);
        }
    }

    async fn commit(&mut self, jobs: impl Iterator<Item = Job>) {
        let (mut batch, mut flushes) = (Batch::default(), Vec::new());
        for job in jobs {
            match job {
                Job::Keep { change, token } => {
                    let bytes = size(&change);
                    self.add(&mut batch, change).await;
                    batch.waiting.records += 1;
                    batch.waiting.bytes += bytes;
                    batch.waiting.tokens.extend(token);
                }
                Job::Latest(latest) => self.latest.push(latest),
                Job::Flush(done) => flushes.push(done),
            }
        }
        let now = self.clock.now_ms();
        // Also when the clock was set back meanwhile.
        let rested = !(1..=LATEST_MS).contains(&(self.rests_until - now));
        if !self.latest.is_empty() && (!flushes.is_empty() || rested) {
            self.rests_until = now + LATEST_MS;
            for latest in std::mem::take(&mut self.latest) {
                self.add(&mut batch, latest()).await;
            }
        }
        batch.waiting.flushes = flushes;
        if !batch.changes.is_empty() || !batch.waiting.flushes.is_empty() {
            self.write(batch).await;
        }
    }

    /// Adds a change, after what there is has been written if the two are too much for one commit.
    async fn add(&mut self, batch: &mut Batch, change: StateChange) {
        let bytes = size(&change);
        if !batch.changes.is_empty() && batch.bytes + bytes > COMMIT_BYTES_MAX {
            self.write(std::mem::take(batch)).await;
        }
        batch.bytes += bytes;
        batch.changes.push(change);
    }

    async fn write(&mut self, batch: Batch) {
        let waiting = batch.waiting;
        let changes = latest(batch.changes);
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
                    self.clock.until(self.clock.now_ms() + AGAIN_MS).await;
                }
                Err(error) => return self.end(&Err(error), waiting),
            }
        }
    }

    fn end(&self, result: &Result<(), HandleError>, waiting: Waiting) {
        let outcome = match result {
            Ok(()) => Outcome::Done,
            Err(error) => {
                tracing::error!(error = %error, records = waiting.records, "records could not be kept");
                Outcome::Lost
            }
        };
        for token in waiting.tokens {
            token.finish(outcome);
        }
        self.queued.take(waiting.records, waiting.bytes);
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

#[cfg(test)]
mod tests;
