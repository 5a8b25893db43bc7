//! Takes the steps on a log and on the model, and compares what both say.

use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tidewire_log::{Commit, EventLog, JournalLog, JournalOptions, LogError, MemoryLog, Subscription};
use tidewire_model::position::Position;
use tidewire_model::query::{Filter, Query, Start};

use crate::expected::{Model, Seen};
use crate::files::copy_log;
use crate::op::{BEGIN, Op, Restart};

/// Longer than any step takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// Which engine, and how it is set up.
#[derive(Debug, Clone, Copy)]
pub enum Engine {
    Memory,
    /// With so many events kept in memory, and segments of so many bytes.
    Journal {
        keep_events: usize,
        segment_bytes: u64,
    },
}

/// A log under test beside its model.
struct Run {
    engine: Engine,
    log: Arc<dyn EventLog>,
    folder: tempfile::TempDir,
    model: Model,
    clock: Arc<AtomicI64>,
    /// A subscription that goes on, and how many events it has seen.
    follower: Option<(Subscription, usize)>,
}

/// Takes all steps.
///
/// # Errors
/// What the log said and what it should have said, at the first step that went wrong.
pub async fn run(engine: Engine, ops: &[Op]) -> Result<(), String> {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(AtomicI64::new(BEGIN));
    let log = open(engine, folder.path(), &clock).await?;
    let mut run = Run { engine, log, folder, model: Model::default(), clock, follower: None };
    for (index, op) in ops.iter().enumerate() {
        let step = tokio::time::timeout(PATIENCE, run.step(op)).await;
        step.map_err(|_| "no answer".to_owned())
            .and_then(|answer| answer)
            .map_err(|error| format!("step {index} of {}: {op:?}\n{error}", ops.len()))?;
    }
    run.step(&Op::Restart(Restart::Close)).await?;
    run.log.close().await;
    Ok(())
}

async fn open(engine: Engine, folder: &Path, clock: &Arc<AtomicI64>) -> Result<Arc<dyn EventLog>, String> {
    let clock = Arc::clone(clock);
    let clock = move || clock.load(Ordering::Relaxed);
    let Engine::Journal { keep_events, segment_bytes } = engine else {
        return Ok(Arc::new(MemoryLog::with_clock(clock)));
    };
    let options = JournalOptions { keep_events, segment_bytes, clock: Arc::new(clock), ..JournalOptions::default() };
    let began = std::time::Instant::now();
    loop {
        match JournalLog::open_with(folder, options.clone()) {
            // Whoever let go of the last handle did not wait for the end.
            Err(LogError::Locked { .. }) if began.elapsed() < PATIENCE => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Err(error) => return Err(error.full_text()),
            Ok(log) => {
                log.ready().await.map_err(|error| error.full_text())?;
                let health = log.health();
                return match health.read_only {
                    None => Ok(Arc::new(log)),
                    Some(reason) => Err(format!("it opens read-only: {reason}")),
                };
            }
        }
    }
}

fn same<T: PartialEq + Debug>(what: &str, found: T, expected: T) -> Result<(), String> {
    if found == expected { Ok(()) } else { Err(format!("{what}: {found:?}\nexpected: {expected:?}")) }
}

/// As [`same`]; names only the first difference.
fn same_events(what: &str, found: &[Seen], expected: &[Seen]) -> Result<(), String> {
    let length = found.len().max(expected.len());
    let differs = (0..length).find(|index| found.get(*index) != expected.get(*index));
    differs.map_or(Ok(()), |at| {
        let counts = format!("{what}: {} events, expected {}", found.len(), expected.len());
        Err(format!("{counts}; number {at} is\n{:?}\nexpected:\n{:?}", found.get(at), expected.get(at)))
    })
}

fn failed(error: LogError) -> String {
    error.full_text()
}

impl Run {
    fn now(&self) -> i64 {
        self.clock.load(Ordering::Relaxed)
    }

    async fn step(&mut self, op: &Op) -> Result<(), String> {
        let now = self.now();
        if let Op::Restart(restart) = op {
            self.restart(restart).await?;
        }
        let log = Arc::clone(&self.log);
        match op {
            Op::Commit(commit) => same("commit", log.commit(commit.clone()).await, self.model.commit(commit, now))?,
            Op::Each(requests) => {
                same("append_each", log.append_each(requests.clone()).await, self.model.each(requests, now))?;
            }
            Op::Read(query) => self.read(query).await?,
            Op::Subscribe(filter, start, max) => self.subscribe(filter, start, *max).await?,
            Op::Follow(max) => self.follow(*max).await?,
            Op::EventAt(position) => {
                let found = log.event_at(*position).await.map_err(failed)?.map(|event| Seen::of(&event));
                let index = position.get().checked_sub(1).map(|index| index as usize);
                same("event_at", found.as_ref(), index.and_then(|index| self.model.events.get(index)))?;
            }
            Op::EventById(id) => {
                let found = log.event_by_id(id.clone()).await.map_err(failed)?.map(|event| Seen::of(&event));
                same("event_by_id", found.as_ref(), self.model.by_id(id))?;
            }
            Op::PositionAtTime(time) => {
                let found = log.position_at_time(*time).await.map_err(failed)?;
                same("position_at_time", found, self.model.position_at_time(*time))?;
            }
            Op::Heads(streams) => {
                let expected = streams.iter().map(|stream| self.model.head_of(stream)).collect();
                same("heads", log.heads(streams.clone()).await.map_err(failed)?, expected)?;
            }
            Op::Streams(list) => {
                same("streams", log.streams(list.clone()).await.map_err(failed)?, self.model.streams(list))?;
            }
            Op::States(prefix) => self.states(prefix).await?,
            Op::Clock(step) => drop(self.clock.fetch_add(*step, Ordering::Relaxed)),
            Op::Restart(_) => {}
        }
        same("head", self.log.head().get(), self.model.events.len() as u64)
    }

    /// Reads every page; where a page ends is the engine's business.
    async fn read(&self, query: &Query) -> Result<(), String> {
        let mut query = query.clone();
        let expected = self.model.read(&query);
        let mut found = Vec::new();
        loop {
            let page = self.log.read(query.clone()).await.map_err(failed)?;
            if page.events.len() > query.limit {
                return Err(format!("a page of {} instead of {}", page.events.len(), query.limit));
            }
            found.extend(page.events.iter().map(|event| Seen::of(event)));
            same("page.head", page.head.get(), self.model.events.len() as u64)?;
            match page.next {
                None => return same_events("read", &found, &expected),
                Some(next) if next == query.from => return Err(format!("reading stands still at {next}")),
                Some(next) => query.from = next,
            }
        }
    }

    async fn subscribe(&self, filter: &Filter, start: &Start, max: usize) -> Result<(), String> {
        let mut subscription = self.log.subscribe(filter.clone(), start.clone()).await.map_err(failed)?;
        let mut found = Vec::new();
        let mut through = Position::ZERO;
        loop {
            let delivery = subscription.next_batch(max).await.map_err(failed)?;
            let last = delivery.events.last().map_or(Position::ZERO, |event| event.position);
            if delivery.through < through || delivery.through < last || delivery.events.len() > max {
                return Err(format!("a delivery through {} after {through} with {last}", delivery.through));
            }
            through = delivery.through;
            found.extend(delivery.events.iter().map(|event| Seen::of(event)));
            if delivery.caught_up {
                return same_events("subscribe", &found, &self.model.subscribe(filter, start));
            }
        }
    }

    async fn follow(&mut self, max: usize) -> Result<(), String> {
        if self.follower.is_none() {
            let start = Start::Position(Position::new(self.model.events.len() as u64 / 2));
            let seen = (self.model.events.len() / 2).saturating_sub(1);
            self.follower = Some((self.log.subscribe(Filter::default(), start).await.map_err(failed)?, seen));
        }
        let (subscription, seen) = self.follower.as_mut().unwrap();
        let mut found = Vec::new();
        while subscription.next_position() <= self.log.head() {
            let delivery = subscription.next_batch(max).await.map_err(failed)?;
            found.extend(delivery.events.iter().map(|event| Seen::of(event)));
        }
        let expected = &self.model.events[*seen..];
        *seen = self.model.events.len();
        same_events("follow", &found, expected)
    }

    async fn states(&self, prefix: &str) -> Result<(), String> {
        let found = self.log.states(prefix.into()).await.map_err(failed)?;
        let expected = self.model.states(prefix);
        for (key, value) in &expected {
            same(key, self.log.state(key.clone()).await.map_err(failed)?.as_ref(), Some(value))?;
        }
        same("states", found, expected)
    }

    async fn restart(&mut self, restart: &Restart) -> Result<(), String> {
        let Engine::Journal { .. } = self.engine else { return Ok(()) };
        self.follower = None;
        let path = self.folder.path().to_owned();
        match restart {
            Restart::Close => self.log.close().await,
            Restart::Drop => self.log = Arc::new(MemoryLog::new()),
            Restart::StoreLost => {
                self.log.close().await;
                lose_store(&path);
            }
            Restart::Crash(commits) => return self.crash(commits, false).await,
            Restart::CrashAndStoreLost => return self.crash(&[], true).await,
        }
        self.log = open(self.engine, &path, &self.clock).await?;
        self.everything().await
    }

    /// Goes on with the files as they are in this moment.
    async fn crash(&mut self, commits: &[Commit], store_lost: bool) -> Result<(), String> {
        for commit in commits {
            // The answer is lost in the crash.
            drop(self.log.queue(commit.clone()).await.map_err(|error| error.to_string())?);
        }
        let left = tempfile::tempdir().unwrap();
        copy_log(self.folder.path(), left.path());
        if store_lost {
            lose_store(left.path());
        }
        self.log.close().await;
        self.folder = left;
        self.log = open(self.engine, self.folder.path(), &self.clock).await?;
        // What was not confirmed is there as whole commits, in order, or not at all.
        let (head, now) = (self.log.head().get(), self.now());
        let mut under_way = commits.iter();
        while (self.model.events.len() as u64) < head {
            let Some(commit) = under_way.next() else { break };
            self.model.commit(commit, now).map_err(|error| error.to_string())?;
        }
        self.everything().await
    }

    async fn everything(&self) -> Result<(), String> {
        self.read(&Query::forwards(Filter::default(), Position::ZERO, 10_000)).await?;
        self.states("").await
    }
}

fn lose_store(folder: &Path) {
    let store: PathBuf = folder.join("sled");
    if store.exists() {
        std::fs::remove_dir_all(store).unwrap();
    }
}
