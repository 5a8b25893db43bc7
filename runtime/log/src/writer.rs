//! The one thread that writes: it numbers events, makes them durable and confirms them.
//!
//! It takes whatever queued up while the last `fdatasync` ran, so a slower disk makes larger groups. Nothing is
//! confirmed, and nothing becomes visible, before it is durable.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use parking_lot::MutexGuard;
use tidewire_model::append::{AppendError, AppendRequest, StateChange};
use tidewire_model::event::{Event, EventId, StreamName};
use tidewire_model::position::Position;
use tidewire_model::retention::LOG_STREAM;

use crate::LogError;
use crate::indexer::JOURNAL_RESERVE;
use crate::journal::record::Record;
use crate::journal::{Journal, JournalError};
use crate::plan::{IdSource, Planner, Stored};
use crate::queue::{Append, Batch, ENOUGH_BYTES, Job, Kind, Outcome, Taken, WriterEnd};
use crate::reader;
use crate::shared::Shared;
use crate::store::Store;

/// A group takes no further job beyond this many events, or [`ENOUGH_BYTES`].
const GROUP_EVENTS: usize = 4096;
/// Where commits take long, it waits up to this part of the last one for others to come back: whoever just misses a
/// commit waits for all of the next.
const REGROUP_PART: u32 = 2;

/// The clock, in milliseconds since 1970.
pub(crate) type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

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
    pub(crate) commits: SyncSender<Record>,
    pub(crate) clock: Clock,
    pub(crate) ids: IdSource,
    /// Every commit takes so much longer, as [`JournalOptions::commit_delay`](crate::JournalOptions) says.
    pub(crate) delay: Duration,
}

impl Writer {
    /// Runs until the queue is closed and empty.
    pub(crate) fn run(mut self, queue: &WriterEnd) {
        let (mut expected, mut took) = (1, Duration::ZERO);
        while let Some(taken) = queue.take(expected, took / REGROUP_PART) {
            expected = taken.jobs.len();
            let began = Instant::now();
            self.write(taken);
            took = began.elapsed();
        }
    }

    fn write(&mut self, mut taken: Taken<'_>) {
        let (mut group, mut events, mut bytes) = (Vec::with_capacity(taken.jobs.len()), 0, 0);
        for job in std::mem::take(&mut taken.jobs) {
            match job {
                Job::Append(append) => {
                    events += append.requests.iter().map(|request| request.events.len()).sum::<usize>();
                    bytes += append.size;
                    group.push(append);
                }
                Job::CloseSegment(reply) => {
                    self.commit(std::mem::take(&mut group), &taken.batch);
                    self.close_segment();
                    let _ = reply.send(());
                }
            }
            if events >= GROUP_EVENTS || bytes >= ENOUGH_BYTES {
                self.commit(std::mem::take(&mut group), &taken.batch);
                (events, bytes) = (0, 0);
            }
        }
        self.commit(group, &taken.batch);
    }

    fn commit(&mut self, group: Vec<Append>, batch: &Batch) {
        if group.is_empty() {
            return;
        }
        let shared = Arc::clone(&self.shared);
        let (store, quiet) = match admit(&shared) {
            Ok(admitted) => admitted,
            Err(refusal) => return refuse(group, batch, &refusal),
        };
        let head = self.journal.position;
        let now = (self.clock)().max(self.journal.recorded_time);
        let known = Known { shared: &self.shared, store: &store };
        let no_room = self.shared.space.refusal().map(|reason| AppendError::NoRoom { reason });
        let mut planner = Planner::new(&known, &mut self.ids, shared.id_window, (Position::new(head), now));
        let mut planned = Vec::with_capacity(group.len());
        let mut state = Vec::new();
        for append in group {
            let place = append.place;
            let outcome = match &no_room {
                Some(refusal) if takes_room(&append.requests) => {
                    Outcome::refused(append.kind, append.requests.len(), refusal)
                }
                _ => plan(&mut planner, append, &mut state),
            };
            planned.push((place, outcome));
        }
        let events = std::mem::take(&mut planner.events);
        drop(planner);
        drop(store);
        if events.is_empty() && state.is_empty() {
            drop(quiet);
            return batch.answer(planned.into_iter());
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
        if let Some(failure) = failure {
            return batch.answer(planned.into_iter().map(|(place, outcome)| (place, outcome.failed(&failure))));
        }
        batch.answer(planned.into_iter());
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

fn plan(planner: &mut Planner<'_, Known<'_>>, append: Append, state: &mut Vec<StateChange>) -> Outcome {
    match append.kind {
        Kind::All => {
            let result = planner.plan_all(append.requests);
            if result.is_ok() {
                state.extend(append.state);
            }
            Outcome::All(result)
        }
        Kind::Each => {
            let one = |request| {
                let appended = planner.plan_all(vec![request])?;
                appended.first().copied().ok_or(AppendError::Empty)
            };
            Outcome::Each(append.requests.into_iter().map(one).collect())
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

/// Refuses everything until the queue is closed and empty: the journal did not open.
pub(crate) fn refuse_all(shared: &Shared, queue: &WriterEnd) {
    while let Some(mut taken) = queue.take(1, Duration::ZERO) {
        let appends = std::mem::take(&mut taken.jobs).into_iter().filter_map(|job| match job {
            Job::Append(append) => Some(append),
            Job::CloseSegment(_) => None,
        });
        refuse(appends.collect(), &taken.batch, &shared.refusal().unwrap_or(AppendError::Closed));
    }
}

fn refuse(group: Vec<Append>, batch: &Batch, refusal: &AppendError) {
    let refused = |append: Append| (append.place, Outcome::refused(append.kind, append.requests.len(), refusal));
    batch.answer(group.into_iter().map(refused));
}
