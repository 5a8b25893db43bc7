//! The contract that every engine keeps.
//!
//! ```text
//!            append ──► [ writer ] ──► durable ──► acknowledged, visible to readers and subscribers
//!
//!  position  1   2   3   4   5   6   7   8
//!            └── stored ───────┘   └ tail ┘ ▲ head
//! ```
//! - Positions are gapless from 1; an event is visible exactly from its acknowledgement on.
//! - A reader never sees an event that is not durable, and always sees one that is.

use std::future::Future;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use compact_str::CompactString;
use tidewire_model::append::{AppendError, AppendRequest, Appended, StateChange};
use tidewire_model::event::{Event, EventId, StreamName};
use tidewire_model::position::Position;
use tidewire_model::query::{Filter, Page, Query, Start, StreamHead};
use tokio::sync::watch;

use crate::backup::{BackupError, Others, Progress, Report};
use crate::snapshots::Snapshots;
use crate::{
    Bodies, CompactOrder, Compacted, DroppedGroup, LastScrub, LogError, ProjectionStore, SpaceLevel, Subscription,
    Ticket, Usage,
};

/// Takes events that are read; answers whether to go on.
pub type Take<'t> = dyn FnMut(&[Arc<Event>]) -> ControlFlow<()> + 't;

/// A boxed future, so that engines can stand behind `dyn EventLog`.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Events and state that become durable together or not at all.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Commit {
    /// Events for one or several streams.
    pub requests: Vec<AppendRequest>,
    /// Values without a position that go with them, such as checkpoints, timers and context. They take effect even when
    /// all events were stored before: another message may bring the same event, and has to be ticked off as well. So
    /// whoever repeats a commit is the only one who writes its keys, or writes the same values.
    pub state: Vec<StateChange>,
}

/// What an engine can promise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// Acknowledged events survive a power loss.
    pub durable: bool,
    /// Positions have no gaps.
    pub gapless_positions: bool,
    /// One append may cover several streams atomically.
    pub atomic_streams: bool,
}

/// The state of the indexed store behind the journal.
#[derive(Debug, Clone, PartialEq)]
pub enum StoreHealth {
    /// Being opened; appends and reads wait for it.
    Opening,
    /// Being brought up to the journal, from 0 to 1.
    Rebuilding {
        /// How much is done.
        progress: f64,
    },
    /// In order.
    Ready,
    /// Out of order until the next start.
    Failed {
        /// Why.
        reason: String,
    },
}

/// How the log is.
#[derive(Debug, Clone, PartialEq)]
pub struct Health {
    /// Why nothing can be appended, if so.
    pub read_only: Option<String>,
    /// How the indexed store is.
    pub store: StoreHealth,
    /// What was noticed and mended at start-up, such as a torn last record.
    pub notices: Vec<String>,
    /// The last durable position.
    pub head: Position,
    /// Whether there is enough room.
    pub space: SpaceLevel,
    /// How many events are not in the indexed store yet.
    pub store_lag: u64,
}

/// In which order streams are listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StreamOrder {
    /// By name.
    #[default]
    Name,
    /// The one that changed last first.
    Newest,
    /// The one that has not changed for longest first.
    Oldest,
    /// The one with most events first.
    Longest,
    /// The one with fewest events first.
    Shortest,
}

/// Which streams to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StreamList {
    /// Only names that match, with `*` for any run of characters.
    pub pattern: Option<CompactString>,
    /// In which order.
    pub order: StreamOrder,
    /// Only what comes after this one.
    pub after: Option<StreamMark>,
    /// How many at most; 0 means all.
    pub limit: usize,
}

/// A place in a list of streams: the last one that was listed, as it was then.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StreamMark {
    /// Its name.
    pub name: CompactString,
    /// Its version; counts for the orders by length.
    pub version: u64,
    /// Its last position; counts for the orders by change.
    pub position: u64,
}

/// The key under which a subscription checkpoint is kept as state.
#[must_use]
fn checkpoint_key(name: &str) -> CompactString {
    compact_str::format_compact!("checkpoint/{name}")
}

/// The event log. Every engine passes the same conformance suite; see the `conformance` module.
///
/// Cheap to share as `Arc<dyn EventLog>`. Futures may be dropped at any time; an append whose future is dropped
/// may still happen.
pub trait EventLog: Send + Sync + 'static {
    /// Stores events for one or several streams and state changes, all or nothing. Answers one [`Appended`] per
    /// request, after everything is durable.
    ///
    /// Expected versions are checked in order, each after the requests before it. A request whose event ids are
    /// all stored already answers as it did the first time, whatever version it expects.
    ///
    /// # Errors
    /// Nothing was stored; the error says why and how to mend it.
    fn commit(&self, commit: Commit) -> BoxFuture<'_, Result<Vec<Appended>, AppendError>>;

    /// As [`EventLog::commit`], in two steps: the first future resolves when the commit is queued, in order with
    /// everything that is queued later; the second when it is durable.
    ///
    /// # Errors
    /// As [`EventLog::commit`].
    fn queue(&self, commit: Commit) -> BoxFuture<'_, Result<Ticket, AppendError>>;

    /// Stores each request on its own: one that is refused does not stop the others. Order is kept.
    fn append_each(&self, requests: Vec<AppendRequest>) -> BoxFuture<'_, Vec<Result<Appended, AppendError>>>;

    /// Stores events for one or several streams, all or nothing.
    ///
    /// # Errors
    /// As [`EventLog::commit`].
    fn append(&self, requests: Vec<AppendRequest>) -> BoxFuture<'_, Result<Vec<Appended>, AppendError>> {
        self.commit(Commit { requests, state: Vec::new() })
    }

    /// Reads one page. A page may hold fewer events than asked for, even none, while [`Page::next`] says where to
    /// go on: a filter that skips much answers in bounded steps.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn read(&self, query: Query) -> BoxFuture<'_, Result<Page, LogError>>;

    /// As [`EventLog::read`], for those who go through much of the log: on the calling thread, which waits for the disk,
    /// a few events at a time, while they are in the cache of its processor. `take` answers whether to go on. It has
    /// been handed all that was found before [`Page::next`] of what is answered, which has no events itself.
    ///
    /// # Errors
    /// When the store cannot be read. Some events may have been handed over before.
    fn read_through(&self, query: &Query, take: &mut Take<'_>) -> Result<Page, LogError>;

    /// The event at a position, if there is one.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn event_at(&self, position: Position) -> BoxFuture<'_, Result<Option<Arc<Event>>, LogError>>;

    /// The event with an id, if there is one.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn event_by_id(&self, id: EventId) -> BoxFuture<'_, Result<Option<Arc<Event>>, LogError>>;

    /// The first position recorded at or after a time; one after the head when there is none.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn position_at_time(&self, time: i64) -> BoxFuture<'_, Result<Position, LogError>>;

    /// The heads of streams, in the order asked for; version 0 for a stream without events.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn heads(&self, streams: Vec<StreamName>) -> BoxFuture<'_, Result<Vec<StreamHead>, LogError>>;

    /// The streams with their last change, in order of name.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn streams(&self, list: StreamList) -> BoxFuture<'_, Result<Vec<StreamHead>, LogError>>;

    /// The last durable position.
    fn head(&self) -> Position;

    /// Follows the last durable position.
    fn watch_head(&self) -> watch::Receiver<Position>;

    /// Follows the log from a start on: first what is stored, then what comes, without gap or duplicate.
    ///
    /// # Errors
    /// When the start cannot be found because the store cannot be read.
    fn subscribe(&self, filter: Filter, start: Start) -> BoxFuture<'_, Result<Subscription, LogError>>;

    /// A durable value without a position.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn state(&self, key: CompactString) -> BoxFuture<'_, Result<Option<Bytes>, LogError>>;

    /// All durable values whose key begins with a prefix, in order of key.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn states(&self, prefix: CompactString) -> BoxFuture<'_, Result<Vec<(CompactString, Bytes)>, LogError>>;

    /// The position stored under a checkpoint's name.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn checkpoint(&self, name: CompactString) -> BoxFuture<'_, Result<Option<Position>, LogError>> {
        Box::pin(async move {
            let stored = self.state(checkpoint_key(&name)).await?;
            Ok(stored.and_then(|bytes| checkpoint_position(&bytes)))
        })
    }

    /// All checkpoints, by name.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn checkpoints(&self) -> BoxFuture<'_, Result<Vec<(CompactString, Position)>, LogError>> {
        Box::pin(async move {
            let prefix = checkpoint_key("");
            let states = self.states(prefix.clone()).await?;
            let read = |(key, value): &(CompactString, Bytes)| {
                Some((key.strip_prefix(prefix.as_str())?.into(), checkpoint_position(value)?))
            };
            Ok(states.iter().filter_map(read).collect())
        })
    }

    /// Stores a position under a checkpoint's name. A subscription that starts there begins after it.
    ///
    /// # Errors
    /// As [`EventLog::commit`].
    fn set_checkpoint(&self, name: CompactString, position: Position) -> BoxFuture<'_, Result<(), AppendError>> {
        Box::pin(async move {
            self.commit(Commit { requests: Vec::new(), state: vec![checkpoint_change(&name, position)] })
                .await
                .map(drop)
        })
    }

    /// Forgets a checkpoint.
    ///
    /// # Errors
    /// As [`EventLog::commit`].
    fn forget_checkpoint(&self, name: CompactString) -> BoxFuture<'_, Result<(), AppendError>> {
        Box::pin(async move {
            let state = vec![StateChange { key: checkpoint_key(&name), value: None }];
            self.commit(Commit { requests: Vec::new(), state }).await.map(drop)
        })
    }

    /// Projections kept beside the log.
    fn projections(&self) -> Arc<dyn ProjectionStore>;

    /// Files of read models that stand for dropped events; see [`crate::snapshots`].
    fn snapshots(&self) -> Arc<Snapshots>;

    /// What retention dropped so far, by category and event type.
    ///
    /// # Errors
    /// When the log cannot be read.
    fn dropped(&self) -> BoxFuture<'_, Result<Vec<DroppedGroup>, LogError>>;

    /// Waits until reads answer at once, that is until the store is open and complete.
    ///
    /// # Errors
    /// When it will not open.
    fn ready(&self) -> BoxFuture<'_, Result<(), LogError>>;

    /// Drops events by the policies of the log, see [`crate::set_policies`], or says what would be dropped. Positions
    /// and versions stay what they are; readers find nothing where dropped events were.
    ///
    /// # Errors
    /// When whoever has to agree does not, or when the log cannot be read or written. What was dropped until then is
    /// recorded.
    fn compact(&self, order: CompactOrder) -> BoxFuture<'_, Result<Compacted, LogError>>;

    /// Changes whenever there is more that [`EventLog::compact`] looks at; never, where it always looks at everything.
    fn watch_archived(&self) -> watch::Receiver<u64> {
        watch::channel(0).1
    }

    /// What the log takes, how fast it grows, and when it will be full.
    ///
    /// # Errors
    /// When the log cannot be read.
    fn usage(&self) -> BoxFuture<'_, Result<Usage, LogError>>;

    /// Copies the log into a folder, with everything that was confirmed before this began; only what is new when the
    /// folder holds an earlier backup; and other files with it.
    ///
    /// # Errors
    /// When the engine keeps nothing that could be copied, when files cannot be read or written, or when it was
    /// cancelled; a backup that was complete before still is.
    fn back_up(
        &self,
        _to: PathBuf,
        _others: Others,
        _progress: Progress,
    ) -> BoxFuture<'_, Result<Report, BackupError>> {
        let why = "it is kept in memory only; there is nothing to back up";
        Box::pin(std::future::ready(Err(BackupError::Source(why.to_owned()))))
    }

    /// Reads everything that was stored before this began, at most so many bytes per second, and tells what is damaged:
    /// in the health of the log, and as an event in stream `$log`.
    ///
    /// # Errors
    /// When the engine keeps nothing that could be read, when it cannot be read at all, or when it was cancelled.
    fn scrub(&self, _progress: Progress, _bytes_per_second: u64) -> BoxFuture<'_, Result<LastScrub, LogError>> {
        let why = "it is kept in memory only; there is nothing to read";
        Box::pin(std::future::ready(Err(LogError::Name(why.to_owned()))))
    }

    /// How the log is.
    fn health(&self) -> Health;

    /// What this engine can promise.
    fn capabilities(&self) -> Capabilities;

    /// What is done to the data of events on their way in and out.
    fn bodies(&self) -> Arc<Bodies>;

    /// Whether the log was closed. Subscriptions end then. Engines override this; a wrapper that lets its engine make
    /// the subscriptions need not.
    fn is_closed(&self) -> bool {
        false
    }

    /// Finishes what is queued, brings the store up to date and lets go of the folder.
    fn close(&self) -> BoxFuture<'_, ()>;
}

/// The state change that stores a checkpoint, to go into a [`Commit`] with events.
#[must_use]
pub fn checkpoint_change(name: &str, position: Position) -> StateChange {
    StateChange { key: checkpoint_key(name), value: Some(Bytes::copy_from_slice(&position.get().to_le_bytes())) }
}

fn checkpoint_position(stored: &[u8]) -> Option<Position> {
    stored.first_chunk().map(|bytes| Position::new(u64::from_le_bytes(*bytes)))
}
