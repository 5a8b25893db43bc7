//! What the threads and handles of one journal log share.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::{Condvar, Mutex, RwLock};
use tidewire_model::append::AppendError;
use tidewire_model::position::Position;
use tokio::sync::watch;

use crate::backlog::Backlog;
use crate::live::Live;
use crate::snapshots::Snapshots;
use crate::space::Space;
use crate::store::Store;
use crate::{Bodies, Health, IdWindow, JournalOptions, LogError, StoreHealth};

/// How far the store is.
#[derive(Clone)]
pub(crate) enum Phase {
    Opening,
    Rebuilding(f64),
    Ready(Arc<Store>),
    Failed(String),
    Closed,
}

pub(crate) struct Shared {
    pub(crate) live: RwLock<Live>,
    pub(crate) head: watch::Sender<Position>,
    phase: Mutex<Phase>,
    phase_changed: Condvar,
    /// Counts changes of the phase, for those who wait without blocking.
    phases: watch::Sender<u64>,
    read_only: Mutex<Option<String>>,
    notices: Mutex<Vec<String>>,
    store_dirty: AtomicBool,
    /// Held by the writer from numbering events to publishing them, and by the indexer while it opens the store anew:
    /// the memory that both work on must not change under either.
    pub(crate) quiet: Mutex<()>,
    /// Held by who puts the names of streams in order.
    pub(crate) listing: Mutex<()>,
    closing: AtomicBool,
    /// Keeps the memory between the writer and the store within bounds.
    pub(crate) backlog: Backlog,
    /// For those who wait for the end, or for a while.
    waiting: Mutex<()>,
    woken: Condvar,
    /// The store has every commit up to here on disk.
    store_durable: AtomicU64,
    /// Held by whoever turns segments into archives, or rewrites those.
    pub(crate) archives: Mutex<()>,
    /// Counts archives that were made.
    pub(crate) archived: watch::Sender<u64>,
    /// How far back repeated ids are recognised.
    pub(crate) id_window: IdWindow,
    /// After how many bytes the store is opened anew.
    pub(crate) refresh_after: u64,
    /// What is done to data on its way in and out.
    pub(crate) bodies: Arc<Bodies>,
    /// What stands for events that are dropped.
    pub(crate) snapshots: Arc<Snapshots>,
    /// The room that the log has.
    pub(crate) space: Space,
    folder: PathBuf,
    /// A file whose presence makes the next start rebuild the store.
    condemned: PathBuf,
}

impl Shared {
    /// What is shared by a log in a folder.
    pub(crate) fn new(folder: &Path, bodies: Bodies, options: &JournalOptions) -> Self {
        let bodies = Arc::new(bodies);
        Self {
            live: RwLock::new(Live::new(options.keep_events)),
            head: watch::channel(Position::ZERO).0,
            phase: Mutex::new(Phase::Opening),
            phase_changed: Condvar::new(),
            phases: watch::channel(0).0,
            read_only: Mutex::default(),
            notices: Mutex::default(),
            store_dirty: AtomicBool::new(false),
            quiet: Mutex::new(()),
            listing: Mutex::new(()),
            closing: AtomicBool::new(false),
            backlog: Backlog::default(),
            waiting: Mutex::new(()),
            woken: Condvar::new(),
            store_durable: AtomicU64::new(0),
            archives: Mutex::new(()),
            archived: watch::channel(0).0,
            id_window: options.id_window,
            refresh_after: options.refresh_after,
            snapshots: Arc::new(Snapshots::in_folder(folder, Arc::clone(&bodies))),
            bodies,
            space: Space::new(folder),
            folder: folder.to_owned(),
            condemned: folder.join("rebuild-store"),
        }
    }

    /// The folder of the log.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn set_phase(&self, phase: Phase) {
        let before = std::mem::replace(&mut *self.phase.lock(), phase);
        // The last hold on a store closes it, which takes time and must not keep the lock.
        drop(before);
        self.phase_changed.notify_all();
        self.phases.send_modify(|count| *count += 1);
    }

    /// The store, an error when there will be none, or `None` when one has to wait.
    pub(crate) fn store_now(&self) -> Option<Result<Arc<Store>, LogError>> {
        answer(&self.phase.lock())
    }

    /// The store; waits until it is open.
    pub(crate) fn wait_for_store(&self) -> Result<Arc<Store>, LogError> {
        let mut phase = self.phase.lock();
        loop {
            if let Some(answer) = answer(&phase) {
                return answer;
            }
            self.phase_changed.wait(&mut phase);
        }
    }

    /// The store; waits until it is open without blocking the thread.
    pub(crate) async fn store(&self) -> Result<Arc<Store>, LogError> {
        let mut phases = self.phases.subscribe();
        loop {
            phases.borrow_and_update();
            if let Some(answer) = self.store_now() {
                return answer;
            }
            if phases.changed().await.is_err() {
                return Err(LogError::Closed);
            }
        }
    }

    /// Whether a store is still the one in use.
    pub(crate) fn is_current(&self, store: &Arc<Store>) -> bool {
        matches!(&*self.phase.lock(), Phase::Ready(current) if Arc::ptr_eq(current, store))
    }

    /// Whether the disk has so many bytes left. A disk that cannot be asked counts as having them.
    pub(crate) fn has_room(&self, bytes: u64) -> bool {
        rustix::fs::statvfs(&self.folder).map_or(true, |disk| disk.f_bavail.saturating_mul(disk.f_frsize) >= bytes)
    }

    /// Notes that nothing more will be written.
    pub(crate) fn set_closing(&self) {
        {
            let _waiting = self.waiting.lock();
            self.closing.store(true, Ordering::Release);
        }
        self.woken.notify_all();
        // Wakes those who wait for more.
        self.head.send_modify(|_| ());
    }

    /// Waits at most so long; true when the log is closing.
    pub(crate) fn wait_for_closing(&self, most: std::time::Duration) -> bool {
        let mut waiting = self.waiting.lock();
        if !self.is_closing() {
            self.woken.wait_for(&mut waiting, most);
        }
        self.is_closing()
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Forgets everything about the store and answers the last hold on it.
    pub(crate) fn take_store(&self) -> Option<Arc<Store>> {
        let before = std::mem::replace(&mut *self.phase.lock(), Phase::Closed);
        self.set_phase(Phase::Closed);
        if let Phase::Ready(store) = before { Some(store) } else { None }
    }

    /// Refuses appends from now on. The first reason stays.
    pub(crate) fn make_read_only(&self, reason: String) {
        tracing::error!(reason, "event log is read-only");
        self.read_only.lock().get_or_insert(reason);
    }

    pub(crate) fn refusal(&self) -> Option<AppendError> {
        self.read_only.lock().clone().map(|reason| AppendError::ReadOnly { reason })
    }

    pub(crate) fn notice(&self, notice: String) {
        self.notices.lock().push(notice);
    }

    /// As [`Shared::notice`], unless that was said before.
    pub(crate) fn notice_once(&self, notice: String) {
        let mut notices = self.notices.lock();
        if !notices.contains(&notice) {
            notices.push(notice);
        }
    }

    /// Passes an answer of the store on. A failure makes the next start rebuild it.
    pub(crate) fn judge<T>(&self, answer: Result<T, LogError>) -> Result<T, LogError> {
        if let Err(LogError::Store(reason)) = &answer
            && !self.condemned.exists()
        {
            tracing::error!(reason, "indexed store failed, it is rebuilt at the next start");
            self.notice(format!(
                "the indexed store failed ({reason}) and is rebuilt from the journal at the next start"
            ));
            if let Err(error) = fs::write(&self.condemned, reason) {
                tracing::error!(%error, "could not note that the store has to be rebuilt");
            }
        }
        answer
    }

    /// Why the store has to be rebuilt, if an earlier run found so.
    pub(crate) fn condemned(&self) -> Option<String> {
        fs::read_to_string(&self.condemned).ok()
    }

    /// Notes that the store was rebuilt.
    pub(crate) fn acquit(&self) {
        drop(fs::remove_file(&self.condemned));
    }

    /// Notes that the store has something that is not on disk yet.
    pub(crate) fn store_changed(&self) {
        self.store_dirty.store(true, Ordering::Relaxed);
    }

    /// Notes up to which commit the store is on disk.
    pub(crate) fn set_store_durable(&self, commit: u64) {
        self.store_durable.fetch_max(commit, Ordering::AcqRel);
    }

    /// Up to which commit the store is on disk.
    pub(crate) fn store_durable(&self) -> u64 {
        self.store_durable.load(Ordering::Acquire)
    }

    pub(crate) fn take_store_changed(&self) -> bool {
        self.store_dirty.swap(false, Ordering::Relaxed)
    }

    pub(crate) fn health(&self) -> Health {
        let store = match &*self.phase.lock() {
            Phase::Opening => StoreHealth::Opening,
            Phase::Rebuilding(progress) => StoreHealth::Rebuilding { progress: *progress },
            Phase::Ready(_) => StoreHealth::Ready,
            Phase::Failed(reason) => StoreHealth::Failed { reason: reason.clone() },
            Phase::Closed => StoreHealth::Failed { reason: "the log is closed".to_owned() },
        };
        let live = self.live.read();
        Health {
            read_only: self.read_only.lock().clone(),
            store,
            notices: [self.notices.lock().clone(), self.snapshots.problems()].concat(),
            head: *self.head.borrow(),
            space: self.space.level(),
            store_lag: live.head.saturating_sub(live.stored),
        }
    }
}

fn answer(phase: &Phase) -> Option<Result<Arc<Store>, LogError>> {
    match phase {
        Phase::Opening | Phase::Rebuilding(_) => None,
        Phase::Ready(store) => Some(Ok(Arc::clone(store))),
        Phase::Failed(reason) => Some(Err(LogError::Store(reason.clone()))),
        Phase::Closed => Some(Err(LogError::Closed)),
    }
}
