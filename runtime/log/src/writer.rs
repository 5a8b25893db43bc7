//! The one thread that writes: it numbers events, makes them durable and confirms them.
//!
//! It takes whatever queued up while the last `fdatasync` ran, so a slower disk makes larger groups. Nothing is
//! confirmed, and nothing becomes visible, before it is durable.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use parking_lot::MutexGuard;
use tidewire_model::append::{AppendError, AppendRequest, Appended, StateChange};
use tidewire_model::event::{Event, EventId, StreamName};
use tidewire_model::position::Position;
use tidewire_model::retention::LOG_STREAM;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use crate::LogError;
use crate::indexer::JOURNAL_RESERVE;
use crate::journal::record::Record;
use crate::journal::{Journal, JournalError};
use crate::plan::{IdSource, Planner, Stored};
use crate::reader;
use crate::shared::Shared;
use crate::store::Store;

/// A group takes no further job beyond this many events …
const GROUP_EVENTS: usize = 4096;
/// … or this many bytes.
const GROUP_BYTES: usize = 1024 * 1024;
/// How long a group waits for the next of those who were in the group before, and come back with their next event.
const REGROUP: Duration = Duration::from_micros(300);
/// It waits no longer than this part of what the last commit took, as long as somebody comes.
const REGROUP_PART: u32 = 2;
/// So long at a time, when all of that takes long.
const NAP: Duration = Duration::from_micros(50);

/// The clock, in milliseconds since 1970.
pub(crate) type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Where an answer goes.
pub(crate) enum Reply {
    /// All or nothing.
    All(oneshot::Sender<Result<Vec<Appended>, AppendError>>),
    /// Each request on its own.
    Each(oneshot::Sender<Vec<Result<Appended, AppendError>>>),
}

/// Something to do for the writer.
pub(crate) enum Job {
    /// An append.
    Append {
        requests: Vec<AppendRequest>,
        state: Vec<StateChange>,
        size: usize,
        reply: Reply,
        /// Keeps the queue's memory bounded.
        permit: OwnedSemaphorePermit,
    },
    /// Close the segment under way, so that it can become an archive.
    CloseSegment(oneshot::Sender<()>),
    /// Finish what came before and stop.
    Close,
}

/// An append that waits for its confirmation.
enum Planned {
    All(oneshot::Sender<Result<Vec<Appended>, AppendError>>, Result<Vec<Appended>, AppendError>),
    Each(oneshot::Sender<Vec<Result<Appended, AppendError>>>, Vec<Result<Appended, AppendError>>),
}

impl Planned {
    /// Answers. Receivers that are gone do not matter.
    fn answer(self, failure: Option<&AppendError>) {
        match (self, failure) {
            (Self::All(reply, result), None) => drop(reply.send(result)),
            (Self::All(reply, result), Some(failure)) => drop(reply.send(result.and(Err(failure.clone())))),
            (Self::Each(reply, results), None) => drop(reply.send(results)),
            (Self::Each(reply, results), Some(failure)) => {
                drop(reply.send(results.into_iter().map(|result| result.and(Err(failure.clone()))).collect()));
            }
        }
    }
}

struct Known<'a> {
    shared: &'a Shared,
    store: &'a Store,
}

impl Stored for Known<'_> {
    fn version(&self, stream: &StreamName) -> u64 {
        self.shared.live.read().heads.get(stream).map_or(0, |head| head.version)
    }

    fn find(&self, id: &EventId) -> Result<Option<Arc<Event>>, LogError> {
        reader::find(self.shared, self.store, id, true)
    }
}

pub(crate) struct Writer {
    pub(crate) shared: Arc<Shared>,
    pub(crate) journal: Journal,
    pub(crate) jobs: mpsc::Receiver<Job>,
    pub(crate) commits: SyncSender<Record>,
    pub(crate) clock: Clock,
    pub(crate) ids: IdSource,
    /// Every commit takes so much longer, as [`JournalOptions::commit_delay`](crate::JournalOptions) says.
    pub(crate) delay: Duration,
}

impl Writer {
    /// Runs until it is told to close or nobody can send any more.
    pub(crate) fn run(mut self) {
        let (mut expected, mut took) = (1, Duration::ZERO);
        loop {
            let Some(first) = self.jobs.blocking_recv() else { return };
            let (group, closing) = self.collect(first, expected, took);
            expected = group.len();
            if !group.is_empty() {
                let began = Instant::now();
                self.commit(group);
                took = began.elapsed();
            }
            if closing {
                return;
            }
        }
    }

    /// Takes what has queued up. Those who were answered together tend to come back together: a group waits a
    /// moment for as many as were in the one before, never for a single one. Where a commit takes long it waits longer:
    /// whoever just misses it waits for all of the next.
    fn collect(&mut self, first: Job, expected: usize, took: Duration) -> (Vec<Job>, bool) {
        let mut group = Vec::with_capacity(expected.min(GROUP_EVENTS));
        let (mut events, mut bytes) = (0, 0);
        let mut next = Some(first);
        let most = REGROUP.max(took / REGROUP_PART);
        let (mut waiting_since, mut last_came): (Option<Instant>, Option<Instant>) = (None, None);
        loop {
            match next.take() {
                Some(Job::Append { requests, state, size, reply, permit }) => {
                    events += requests.iter().map(|request| request.events.len()).sum::<usize>();
                    bytes += size;
                    group.push(Job::Append { requests, state, size, reply, permit });
                }
                Some(Job::CloseSegment(reply)) => {
                    self.close_segment();
                    let _ = reply.send(());
                }
                Some(Job::Close) => return (group, true),
                None => {}
            }
            if events >= GROUP_EVENTS || bytes >= GROUP_BYTES {
                return (group, false);
            }
            next = self.jobs.try_recv().ok();
            if next.is_some() {
                last_came = None;
                continue;
            }
            let waited = waiting_since.get_or_insert_with(Instant::now).elapsed();
            let alone = last_came.get_or_insert_with(Instant::now).elapsed();
            if group.len() >= expected || waited >= most || alone >= REGROUP {
                return (group, false);
            }
            if waited < REGROUP {
                std::thread::yield_now();
            } else {
                std::thread::sleep(NAP);
            }
        }
    }

    fn commit(&mut self, group: Vec<Job>) {
        let shared = Arc::clone(&self.shared);
        let (store, quiet) = match admit(&shared) {
            Ok(admitted) => admitted,
            Err(refusal) => return refuse(group, &refusal),
        };
        let head = self.journal.position;
        let now = (self.clock)().max(self.journal.recorded_time);
        let known = Known { shared: &self.shared, store: &store };
        let no_room = self.shared.space.refusal().map(|reason| AppendError::NoRoom { reason });
        let mut planner = Planner::new(&known, &mut self.ids, shared.id_window, (Position::new(head), now));
        let mut planned = Vec::with_capacity(group.len());
        let mut state = Vec::new();
        let mut permits = Vec::with_capacity(group.len());
        for job in group {
            let Job::Append { requests, state: changes, reply, permit, .. } = job else { continue };
            permits.push(permit);
            planned.push(match &no_room {
                Some(refusal) if takes_room(&requests) => refused(reply, requests.len(), refusal),
                _ => plan(&mut planner, requests, changes, reply, &mut state),
            });
        }
        let events = std::mem::take(&mut planner.events);
        drop(planner);
        drop(store);
        if events.is_empty() && state.is_empty() {
            drop(quiet);
            return planned.into_iter().for_each(|planned| planned.answer(None));
        }
        let record = Record::encode(self.journal.commit + 1, head, events, state);
        let appended = self.journal.append(&record);
        std::thread::sleep(self.delay);
        let failure = match appended {
            Ok(()) => {
                self.publish(&record);
                None
            }
            Err(JournalError::Full) => Some(AppendError::DiskFull),
            Err(JournalError::Broken(reason)) => {
                self.shared.make_read_only(reason.clone());
                Some(AppendError::ReadOnly { reason })
            }
        };
        drop(quiet);
        planned.into_iter().for_each(|planned| planned.answer(failure.as_ref()));
        if failure.is_some() {
            return;
        }
        self.shared.backlog.enter(record.bytes.len());
        if self.commits.send(record).is_err() {
            self.shared.make_read_only("the indexed store has stopped; see the program's log, then restart".to_owned());
        }
    }

    fn close_segment(&mut self) {
        let _quiet = self.shared.quiet.lock();
        match self.journal.close_segment() {
            Err(JournalError::Broken(reason)) => self.shared.make_read_only(reason),
            Ok(()) | Err(JournalError::Full) => {}
        }
    }

    fn publish(&self, record: &Record) {
        self.shared.live.write().publish(record.commit, &record.events, &record.state);
        if !record.events.is_empty() {
            self.shared.head.send_replace(Position::new(record.last_position));
        }
    }
}

/// Whether requests have to wait for room. What the log says of itself does not: it says what made room.
fn takes_room(requests: &[AppendRequest]) -> bool {
    requests.iter().any(|request| request.stream.as_str() != LOG_STREAM)
}

fn refused(reply: Reply, count: usize, refusal: &AppendError) -> Planned {
    match reply {
        Reply::All(reply) => Planned::All(reply, Err(refusal.clone())),
        Reply::Each(reply) => Planned::Each(reply, vec![Err(refusal.clone()); count]),
    }
}

fn plan(
    planner: &mut Planner<'_, Known<'_>>,
    requests: Vec<AppendRequest>,
    changes: Vec<StateChange>,
    reply: Reply,
    state: &mut Vec<StateChange>,
) -> Planned {
    match reply {
        Reply::All(reply) => {
            let result = planner.plan_all(requests);
            if result.is_ok() {
                state.extend(changes);
            }
            Planned::All(reply, result)
        }
        Reply::Each(reply) => {
            let one = |request| {
                let appended = planner.plan_all(vec![request])?;
                appended.first().copied().ok_or(AppendError::Empty)
            };
            Planned::Each(reply, requests.into_iter().map(one).collect())
        }
    }
}

/// The store to check against, and the right to number events; or why not.
fn admit(shared: &Shared) -> Result<(Arc<Store>, MutexGuard<'_, ()>), AppendError> {
    loop {
        // Before and after waiting: the store may find, while it opens, that nothing can be appended.
        shared.refusal().map_or(Ok(()), Err)?;
        if !shared.has_room(JOURNAL_RESERVE) {
            return Err(AppendError::DiskFull);
        }
        let store = shared.wait_for_store().map_err(|error| AppendError::ReadOnly { reason: error.full_text() })?;
        shared.refusal().map_or(Ok(()), Err)?;
        let quiet = shared.quiet.lock();
        if shared.is_current(&store) {
            return Ok((store, quiet));
        }
    }
}

/// Refuses everything until it is told to close: the journal did not open.
pub(crate) fn refuse_all(shared: &Shared, mut jobs: mpsc::Receiver<Job>, commits: SyncSender<Record>) {
    while let Some(job) = jobs.blocking_recv() {
        if matches!(job, Job::Close) {
            break;
        }
        refuse(vec![job], &shared.refusal().unwrap_or(AppendError::Closed));
    }
    drop(commits);
}

fn refuse(group: Vec<Job>, refusal: &AppendError) {
    for job in group {
        let Job::Append { requests, reply, .. } = job else { continue };
        refused(reply, requests.len(), refusal).answer(None);
    }
}
