//! An event log that measures how long appends take.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use compact_str::CompactString;
use tidewire_log::backup::{BackupError, Others, Progress, Report};
use tidewire_log::snapshots::Snapshots;
use tidewire_log::{
    Bodies, BoxFuture, Capabilities, Commit, CompactOrder, Compacted, DroppedGroup, EventLog, Health, LastScrub,
    LogError, ProjectionStore, StreamList, Subscription, Take, Ticket, Usage,
};
use tidewire_model::append::{AppendError, AppendRequest, Appended};
use tidewire_model::event::{Event, EventId, StreamName};
use tidewire_model::position::Position;
use tidewire_model::query::{Filter, Page, Query, Start, StreamHead};
use tokio::sync::watch;

use super::Histogram;

/// Passes everything on to the log behind it.
pub struct MeteredLog {
    log: Arc<dyn EventLog>,
    pub append_seconds: Histogram,
}

impl MeteredLog {
    pub fn new(log: Arc<dyn EventLog>) -> Self {
        MeteredLog { log, append_seconds: Histogram::default() }
    }
}

impl EventLog for MeteredLog {
    fn commit(&self, commit: Commit) -> BoxFuture<'_, Result<Vec<Appended>, AppendError>> {
        Box::pin(async move {
            let began = Instant::now();
            let result = self.log.commit(commit).await;
            self.append_seconds.observe(began.elapsed());
            result
        })
    }

    fn queue(&self, commit: Commit) -> BoxFuture<'_, Result<Ticket, AppendError>> {
        self.log.queue(commit)
    }

    fn append_each(&self, requests: Vec<AppendRequest>) -> BoxFuture<'_, Vec<Result<Appended, AppendError>>> {
        Box::pin(async move {
            let began = Instant::now();
            let results = self.log.append_each(requests).await;
            self.append_seconds.observe(began.elapsed());
            results
        })
    }

    fn read(&self, query: Query) -> BoxFuture<'_, Result<Page, LogError>> {
        self.log.read(query)
    }

    fn read_through(&self, query: &Query, take: &mut Take<'_>) -> Result<Page, LogError> {
        self.log.read_through(query, take)
    }

    fn event_at(&self, position: Position) -> BoxFuture<'_, Result<Option<Arc<Event>>, LogError>> {
        self.log.event_at(position)
    }

    fn event_by_id(&self, id: EventId) -> BoxFuture<'_, Result<Option<Arc<Event>>, LogError>> {
        self.log.event_by_id(id)
    }

    fn position_at_time(&self, time: i64) -> BoxFuture<'_, Result<Position, LogError>> {
        self.log.position_at_time(time)
    }

    fn heads(&self, streams: Vec<StreamName>) -> BoxFuture<'_, Result<Vec<StreamHead>, LogError>> {
        self.log.heads(streams)
    }

    fn streams(&self, list: StreamList) -> BoxFuture<'_, Result<Vec<StreamHead>, LogError>> {
        self.log.streams(list)
    }

    fn head(&self) -> Position {
        self.log.head()
    }

    fn watch_head(&self) -> watch::Receiver<Position> {
        self.log.watch_head()
    }

    fn subscribe(&self, filter: Filter, start: Start) -> BoxFuture<'_, Result<Subscription, LogError>> {
        self.log.subscribe(filter, start)
    }

    fn state(&self, key: CompactString) -> BoxFuture<'_, Result<Option<Bytes>, LogError>> {
        self.log.state(key)
    }

    fn states(&self, prefix: CompactString) -> BoxFuture<'_, Result<Vec<(CompactString, Bytes)>, LogError>> {
        self.log.states(prefix)
    }

    fn projections(&self) -> Arc<dyn ProjectionStore> {
        self.log.projections()
    }

    fn snapshots(&self) -> Arc<Snapshots> {
        self.log.snapshots()
    }

    fn dropped(&self) -> BoxFuture<'_, Result<Vec<DroppedGroup>, LogError>> {
        self.log.dropped()
    }

    fn ready(&self) -> BoxFuture<'_, Result<(), LogError>> {
        self.log.ready()
    }

    fn compact(&self, order: CompactOrder) -> BoxFuture<'_, Result<Compacted, LogError>> {
        self.log.compact(order)
    }

    fn watch_archived(&self) -> watch::Receiver<u64> {
        self.log.watch_archived()
    }

    fn usage(&self) -> BoxFuture<'_, Result<Usage, LogError>> {
        self.log.usage()
    }

    fn back_up(&self, to: PathBuf, others: Others, progress: Progress) -> BoxFuture<'_, Result<Report, BackupError>> {
        self.log.back_up(to, others, progress)
    }

    fn scrub(&self, progress: Progress, bytes_per_second: u64) -> BoxFuture<'_, Result<LastScrub, LogError>> {
        self.log.scrub(progress, bytes_per_second)
    }

    fn health(&self) -> Health {
        self.log.health()
    }

    fn capabilities(&self) -> Capabilities {
        self.log.capabilities()
    }

    fn bodies(&self) -> Arc<Bodies> {
        self.log.bodies()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.log.close()
    }
}
