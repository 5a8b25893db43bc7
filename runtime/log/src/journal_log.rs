//! The durable engine: journal first, sled behind it.
//!
//! [`JournalLog::open`] returns at once; the journal is verified and the store opened in the background, and
//! appends and reads wait for them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::sync_channel;

use bytes::Bytes;
use compact_str::CompactString;
use parking_lot::Mutex;
use tidewire_model::append::{AppendError, AppendRequest, Appended};
use tidewire_model::event::{Event, EventId, StreamName};
use tidewire_model::position::Position;
use tidewire_model::query::{Filter, Page, Query, Start, StreamHead};
use tokio::sync::watch;

use crate::archivist;
use crate::backup::{BackupError, Others, Progress, Report};
use crate::door::Door;
use crate::folders::sync_folder;
use crate::indexer::{self, Early, JournalFacts, STATE};
use crate::journal::{Journal, segment};
use crate::lock::lock;
use crate::plan::IdSource;
use crate::projection::StoredProjections;
use crate::queue::{Queue, WriterEnd};
use crate::shared::Shared;
use crate::snapshots::Snapshots;
use crate::store::{Space, Store};
use crate::values::Values;
use crate::writer::{Clock, Writer};
use crate::{
    Bodies, BoxFuture, Capabilities, Commit, CompactOrder, Compacted, DroppedGroup, EventLog, Health, LogError,
    ProjectionStore, StreamList, Subscription, Take, Ticket, Usage, lists, names, reader,
};

mod appending;
mod archiving;
mod backing_up;
mod collecting;
mod compacting;
mod options;
mod reading;
mod scrubbing;

pub use scrubbing::{LastScrub, SCRUBBED, last_scrub};

pub use options::JournalOptions;

/// How many commits the store may be behind before appends wait for it; their bytes are limited besides.
const STORE_QUEUE: usize = 1024;

/// The log on disk. A clone is the same log.
#[derive(Clone)]
pub struct JournalLog {
    inner: Arc<Inner>,
}

struct Inner {
    journal_folder: PathBuf,
    shared: Arc<Shared>,
    door: Door,
    sweeping: tokio::sync::Mutex<()>,
    /// Whether content files were collected since the start.
    swept: AtomicBool,
    compacting: tokio::sync::Mutex<()>,
    scrubbing: tokio::sync::Mutex<()>,
    /// What retention dropped, once somebody has asked.
    dropped: tokio::sync::Mutex<Option<Vec<DroppedGroup>>>,
    clock: Clock,
    queue: Arc<Queue>,
    writer: Mutex<Option<std::thread::JoinHandle<()>>>,
    closed: watch::Sender<bool>,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.queue.close();
    }
}

impl JournalLog {
    /// Opens the log in a folder, or begins one. Returns at once; see [`EventLog::ready`].
    ///
    /// # Errors
    /// When the folder cannot be written or another process uses it.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, LogError> {
        Self::open_with(folder, JournalOptions::default())
    }

    /// Opens the log with options.
    ///
    /// # Errors
    /// As [`JournalLog::open`].
    pub fn open_with(folder: impl AsRef<Path>, options: JournalOptions) -> Result<Self, LogError> {
        let folder = folder.as_ref().to_owned();
        let journal_folder = folder.join("journal");
        fs::create_dir_all(&journal_folder).map_err(LogError::io("create the folder", &journal_folder))?;
        let lock = lock(&folder)?;
        segment::check_format(&journal_folder)?;
        let keys = options.keys.clone().unwrap_or_else(|| folder.join("keys"));
        let bodies = Bodies::in_folders(&folder, keys, options.personal.clone());
        let shared = Arc::new(Shared::new(&folder, bodies, &options));
        shared.space.set_limit(options.max_bytes);
        let (queue, end) = Queue::new();
        let beside = journal_folder.clone();
        let ticking: Clock = Arc::clone(&options.clock);
        let thread = {
            let shared = Arc::clone(&shared);
            let work = move || {
                run(&shared, &folder, &journal_folder, &options, &end);
                drop(lock);
            };
            std::thread::Builder::new().name("log-writer".to_owned()).spawn(work)
        };
        let thread = thread.map_err(LogError::io("start a thread for", PathBuf::from("the event log")))?;
        let inner = Inner {
            journal_folder: beside,
            shared,
            door: Door::default(),
            sweeping: tokio::sync::Mutex::default(),
            swept: AtomicBool::new(false),
            compacting: tokio::sync::Mutex::default(),
            scrubbing: tokio::sync::Mutex::default(),
            dropped: tokio::sync::Mutex::default(),
            clock: ticking,
            queue,
            writer: Mutex::new(Some(thread)),
            closed: watch::channel(false).0,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Bytes that journal and store take on disk.
    ///
    /// # Errors
    /// When the store does not open.
    pub async fn store_bytes(&self) -> Result<u64, LogError> {
        Ok(self.inner.shared.store().await?.size_on_disk())
    }
}

/// The writer's thread, from opening the journal to closing the store.
fn run(shared: &Arc<Shared>, folder: &Path, journal_folder: &Path, options: &JournalOptions, end: &WriterEnd) {
    let store_folder = folder.join("sled");
    let early = Early::begin(shared, store_folder.clone());
    let opened = Journal::open(journal_folder, options.segment_bytes).and_then(|opened| {
        sync_folder(folder)?;
        Ok(opened)
    });
    let mut facts = JournalFacts {
        log_id: 0,
        journal_folder: journal_folder.to_owned(),
        store_folder,
        commit: 0,
        position: 0,
        intact: false,
    };
    let journal = match opened {
        Ok((journal, notices)) => {
            notices.into_iter().for_each(|notice| shared.notice(notice));
            facts = JournalFacts {
                log_id: journal.log_id(),
                commit: journal.commit,
                position: journal.position,
                intact: true,
                ..facts
            };
            shared.head.send_replace(Position::new(journal.position));
            Some(journal)
        }
        Err(error) => {
            shared.make_read_only(error.full_text());
            None
        }
    };
    let (commits, queue) = sync_channel(STORE_QUEUE);
    let indexer = {
        let shared = Arc::clone(shared);
        let work = move || indexer::run(&shared, &facts, early, &queue);
        std::thread::Builder::new().name("log-store".to_owned()).spawn(work)
    };
    let archivist = journal.is_some().then(|| archivist::start(shared, journal_folder, options.archive));
    let clock: Clock = Arc::clone(&options.clock);
    match journal {
        Some(journal) => {
            let (shared, ids, delay) = (Arc::clone(shared), IdSource::default(), options.commit_delay);
            Writer { shared, journal, commits, clock, ids, delay }.run(end);
        }
        None => {
            crate::writer::refuse_all(shared, end);
            drop(commits);
        }
    }
    shared.set_closing();
    if let Some(Ok(thread)) = archivist {
        drop(thread.join());
    }
    match indexer {
        Ok(thread) => drop(thread.join()),
        Err(error) => shared.make_read_only(format!("could not start the store's thread: {error}")),
    }
    if let Some(store) = shared.take_store() {
        let_go(store);
    }
}

/// Waits until the last reader has let go, so that the folder can be opened again.
fn let_go(mut store: Arc<Store>) {
    for _ in 0..500 {
        match Arc::try_unwrap(store) {
            Ok(store) => return store.close(),
            Err(held) => store = held,
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

impl EventLog for JournalLog {
    fn commit(&self, commit: Commit) -> BoxFuture<'_, Result<Vec<Appended>, AppendError>> {
        Box::pin(async move { self.queue_one(commit).await?.await })
    }

    fn queue(&self, commit: Commit) -> BoxFuture<'_, Result<Ticket, AppendError>> {
        Box::pin(self.queue_one(commit))
    }

    fn append_each(&self, requests: Vec<AppendRequest>) -> BoxFuture<'_, Vec<Result<Appended, AppendError>>> {
        Box::pin(self.store_each(requests))
    }

    fn read(&self, query: Query) -> BoxFuture<'_, Result<Page, LogError>> {
        Box::pin(async move {
            let shared = &self.inner.shared;
            let store = shared.store().await?;
            let page = reader::read_live(shared, &query).filter(|_| shared.is_current(&store));
            drop(store);
            match page {
                Some(page) => Ok(page),
                None => self.with_store(move |shared, store| reader::read(shared, store, &query, None)).await,
            }
        })
    }

    fn read_through(&self, query: &Query, take: &mut Take<'_>) -> Result<Page, LogError> {
        self.hand_through(query, take)
    }

    fn event_at(&self, position: Position) -> BoxFuture<'_, Result<Option<Arc<Event>>, LogError>> {
        Box::pin(self.with_store(move |shared, store| {
            Ok(reader::event_at(shared, store, position.get())?.map(|event| shared.bodies.whole(event)))
        }))
    }

    fn event_by_id(&self, id: EventId) -> BoxFuture<'_, Result<Option<Arc<Event>>, LogError>> {
        Box::pin(self.with_store(move |shared, store| {
            Ok(reader::find(shared, store, &id, false)?.map(|event| shared.bodies.whole(event)))
        }))
    }

    fn position_at_time(&self, time: i64) -> BoxFuture<'_, Result<Position, LogError>> {
        Box::pin(self.with_store(move |shared, store| reader::position_at_time(shared, store, time).map(Position::new)))
    }

    fn heads(&self, streams: Vec<StreamName>) -> BoxFuture<'_, Result<Vec<StreamHead>, LogError>> {
        Box::pin(async move {
            self.inner.shared.store().await?;
            let live = self.inner.shared.live.read();
            Ok(streams
                .into_iter()
                .map(|stream| live.heads.get(&stream).copied().unwrap_or_default().of(stream))
                .collect())
        })
    }

    fn streams(&self, list: StreamList) -> BoxFuture<'_, Result<Vec<StreamHead>, LogError>> {
        Box::pin(self.with_store(move |shared, _| Ok(names::streams(shared, &list))))
    }

    fn head(&self) -> Position {
        *self.inner.shared.head.borrow()
    }

    fn watch_head(&self) -> watch::Receiver<Position> {
        self.inner.shared.head.subscribe()
    }

    fn subscribe(&self, filter: Filter, start: Start) -> BoxFuture<'_, Result<Subscription, LogError>> {
        Box::pin(Subscription::new(Arc::new(self.clone()), filter, start))
    }

    fn state(&self, key: CompactString) -> BoxFuture<'_, Result<Option<Bytes>, LogError>> {
        Box::pin(self.with_store(move |shared, store| {
            let known = shared.live.read().state(&key);
            known.map_or_else(|| Values::new(store, Space::Log, STATE).get(&key), Ok)
        }))
    }

    fn states(&self, prefix: CompactString) -> BoxFuture<'_, Result<Vec<(CompactString, Bytes)>, LogError>> {
        Box::pin(self.with_store(move |shared, store| lists::states(shared, store, &prefix)))
    }

    fn projections(&self) -> Arc<dyn ProjectionStore> {
        Arc::new(StoredProjections::new(Arc::clone(&self.inner.shared)))
    }

    fn snapshots(&self) -> Arc<Snapshots> {
        Arc::clone(&self.inner.shared.snapshots)
    }

    fn dropped(&self) -> BoxFuture<'_, Result<Vec<DroppedGroup>, LogError>> {
        Box::pin(self.dropped_groups())
    }

    fn ready(&self) -> BoxFuture<'_, Result<(), LogError>> {
        Box::pin(async move { self.inner.shared.store().await.map(drop) })
    }

    fn compact(&self, order: CompactOrder) -> BoxFuture<'_, Result<Compacted, LogError>> {
        Box::pin(self.compact_archives(order))
    }

    fn watch_archived(&self) -> watch::Receiver<u64> {
        self.inner.shared.archived.subscribe()
    }

    fn usage(&self) -> BoxFuture<'_, Result<Usage, LogError>> {
        Box::pin(self.measure_usage())
    }

    fn back_up(&self, to: PathBuf, others: Others, progress: Progress) -> BoxFuture<'_, Result<Report, BackupError>> {
        Box::pin(self.back_up_to(to, others, progress))
    }

    fn scrub(&self, progress: Progress, bytes_per_second: u64) -> BoxFuture<'_, Result<LastScrub, LogError>> {
        Box::pin(self.scrub_slowly(progress, bytes_per_second))
    }

    fn health(&self) -> Health {
        self.inner.shared.health()
    }

    fn bodies(&self) -> Arc<Bodies> {
        Arc::clone(&self.inner.shared.bodies)
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { durable: true, gapless_positions: true, atomic_streams: true }
    }

    fn is_closed(&self) -> bool {
        self.inner.shared.is_closing()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            let thread = self.inner.writer.lock().take();
            let Some(thread) = thread else {
                // Somebody else closes it.
                drop(self.inner.closed.subscribe().wait_for(|closed| *closed).await);
                return;
            };
            self.inner.queue.close();
            drop(tokio::task::spawn_blocking(move || thread.join()).await);
            self.inner.closed.send_replace(true);
        })
    }
}
