//! The log in memory: for tests and `--ephemeral`. Nothing outlives the process, and it says so in its capabilities.

mod compacting;
mod records;

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use compact_str::CompactString;
use parking_lot::RwLock;
use tidewire_model::append::{AppendError, AppendRequest, Appended, StateChange};
use tidewire_model::event::{Event, EventId, StreamName};
use tidewire_model::position::Position;
use tidewire_model::query::{Direction, Filter, Page, Query, Start, StreamHead, has_wildcard};
use tokio::sync::watch;

use crate::live::Head;
use crate::plan::{IdSource, IdWindow, Planner, Stored as _, check_size, check_state, wall_clock};
use crate::snapshots::Snapshots;
use crate::{
    Bodies, BoxFuture, Capabilities, Commit, CompactOrder, Compacted, DroppedGroup, EventLog, Health, LogError,
    MemoryProjections, ProjectionStore, SpaceLevel, StoreHealth, StreamList, StreamOrder, Subscription, Take, Ticket,
    Usage, space::Parts, usage::usage,
};
use records::Records;

/// Most events that one read looks at before it answers with what it has.
const SCAN_MAX: usize = if cfg!(test) { 150 } else { 100_000 };

/// A log in memory. A clone is the same log.
#[derive(Clone)]
pub struct MemoryLog {
    inner: Arc<Inner>,
}

struct Inner {
    contents: RwLock<Contents>,
    projections: Arc<MemoryProjections>,
    snapshots: Arc<Snapshots>,
    bodies: Arc<Bodies>,
    window: IdWindow,
    head: watch::Sender<Position>,
    clock: Box<dyn Fn() -> i64 + Send + Sync>,
}

#[derive(Default)]
struct Contents {
    records: Records,
    id_source: IdSource,
    state: BTreeMap<CompactString, Bytes>,
    closed: bool,
}

impl Default for MemoryLog {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryLog {
    /// An empty log that runs on the machine's clock.
    #[must_use]
    pub fn new() -> Self {
        Self::with_clock(wall_clock)
    }

    /// An empty log that runs on a given clock, in milliseconds since 1970.
    pub fn with_clock(clock: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        Self::with_window(clock, IdWindow::default())
    }

    /// An empty log that runs on a given clock and recognises repeated ids as far back as given.
    pub fn with_window(clock: impl Fn() -> i64 + Send + Sync + 'static, window: IdWindow) -> Self {
        let bodies = Arc::new(Bodies::in_memory());
        let inner = Inner {
            contents: RwLock::default(),
            projections: Arc::default(),
            snapshots: Arc::new(Snapshots::in_memory(Arc::clone(&bodies))),
            bodies,
            window,
            head: watch::channel(Position::ZERO).0,
            clock: Box::new(clock),
        };
        Self { inner: Arc::new(inner) }
    }

    /// Plans with `decide`, then keeps what it decided and the state changes of the commits that succeeded.
    fn apply<T>(
        &self,
        decide: impl FnOnce(&mut Planner<'_, Records>) -> (T, Vec<StateChange>),
    ) -> Result<T, AppendError> {
        let mut contents = self.inner.contents.write();
        let contents = &mut *contents;
        if contents.closed {
            return Err(AppendError::Closed);
        }
        let records = &mut contents.records;
        let last_time = records.last_time.unwrap_or(i64::MIN);
        let now = (self.inner.clock)().max(last_time);
        let mut planner = Planner::new(&*records, &mut contents.id_source, self.inner.window, (records.head(), now));
        let (answer, state) = decide(&mut planner);
        let events = std::mem::take(&mut planner.events);
        for event in events {
            records.push(event);
        }
        for change in state {
            match change.value {
                Some(value) => contents.state.insert(change.key, value),
                None => contents.state.remove(&change.key),
            };
        }
        // Under the lock, so that the head never runs back.
        self.inner.head.send_replace(records.head());
        Ok(answer)
    }

    fn prepare(&self, mut request: AppendRequest) -> Result<AppendRequest, AppendError> {
        self.inner.bodies.check(&mut request)?;
        if self.inner.bodies.concern(std::slice::from_ref(&request)) {
            return self.inner.bodies.prepare(vec![request]).pop().unwrap_or(Err(AppendError::Empty));
        }
        Ok(request)
    }

    fn read_now(&self, query: &Query) -> Page {
        let contents = self.inner.contents.read();
        let records = &contents.records;
        let head = records.head();
        let first = query.filter.from_time.map_or(Position::FIRST, |time| records.position_at_time(time));
        let last = query.filter.to_time.map_or(head, |time| records.position_at_time(time).previous());
        let (first, last) = match query.direction {
            Direction::Forwards => (first.max(query.from), last),
            Direction::Backwards if query.from == Position::ZERO => (first, last),
            Direction::Backwards => (first, last.min(query.from)),
        };
        if first > last {
            return Page { events: Vec::new(), next: None, head };
        }
        let exact = query.filter.stream.as_ref().filter(|stream| !has_wildcard(stream));
        match exact {
            Some(stream) => {
                let positions = records.streams.get(stream.as_str()).map_or(&[][..], |stream| &stream.positions);
                let low = positions.partition_point(|position| *position < first);
                let high = positions.partition_point(|position| *position <= last);
                let positions = positions.get(low..high).unwrap_or_default();
                collect(&self.inner.bodies, query, head, positions.iter().filter_map(|position| records.at(*position)))
            }
            None => {
                let range = records.index(first)..records.index(last.next());
                collect(&self.inner.bodies, query, head, records.events.get(range).unwrap_or_default().iter())
            }
        }
    }
}

fn collect<'a>(
    bodies: &Bodies,
    query: &Query,
    head: Position,
    events: impl DoubleEndedIterator<Item = &'a Arc<Event>>,
) -> Page {
    match query.direction {
        Direction::Forwards => collect_from(bodies, query, head, events),
        Direction::Backwards => collect_from(bodies, query, head, events.rev()),
    }
}

fn collect_from<'a>(
    bodies: &Bodies,
    query: &Query,
    head: Position,
    events: impl Iterator<Item = &'a Arc<Event>>,
) -> Page {
    let limit = query.limit.min(Query::MAX_LIMIT);
    let mut page = Page { events: Vec::new(), next: None, head };
    for (scanned, event) in events.enumerate() {
        if page.events.len() == limit || scanned == SCAN_MAX {
            page.next = Some(event.position);
            break;
        }
        if query.filter.matches_envelope(event) {
            let event = bodies.whole(Arc::clone(event));
            if query.filter.matches_data(&event) {
                page.events.push(event);
            }
        }
    }
    page
}

fn done<'a, T: Send + 'a>(value: T) -> BoxFuture<'a, T> {
    Box::pin(std::future::ready(value))
}

impl EventLog for MemoryLog {
    fn commit(&self, commit: Commit) -> BoxFuture<'_, Result<Vec<Appended>, AppendError>> {
        let checked = check_state(&commit.state).and_then(|()| check_size(&commit.requests));
        let prepared = checked.and_then(|()| commit.requests.into_iter().map(|one| self.prepare(one)).collect());
        let answer = prepared.and_then(|requests: Vec<_>| {
            self.apply(|planner| match planner.plan_all(requests) {
                Ok(appended) => (Ok(appended), commit.state),
                Err(error) => (Err(error), Vec::new()),
            })?
        });
        done(answer)
    }

    fn queue(&self, commit: Commit) -> BoxFuture<'_, Result<Ticket, AppendError>> {
        Box::pin(async move {
            let stored = self.commit(commit).await?;
            Ok(Ticket::ready(Ok(stored)))
        })
    }

    fn append_each(&self, requests: Vec<AppendRequest>) -> BoxFuture<'_, Vec<Result<Appended, AppendError>>> {
        let count = requests.len();
        let prepared: Vec<_> = requests.into_iter().map(|request| self.prepare(request)).collect();
        let answer = self.apply(|planner| {
            let mut plan = |request| planner.plan_all(vec![request]).map(|all| first_of(&all));
            let one = |request: Result<_, _>| request.and_then(&mut plan)?.ok_or(AppendError::Empty);
            (prepared.into_iter().map(one).collect(), vec![])
        });
        done(answer.unwrap_or_else(|error| vec![Err(error); count]))
    }

    fn read(&self, query: Query) -> BoxFuture<'_, Result<Page, LogError>> {
        done(Ok(self.read_now(&query)))
    }

    fn read_through(&self, query: &Query, take: &mut Take<'_>) -> Result<Page, LogError> {
        let mut page = self.read_now(query);
        if let Some(last) = page.events.last()
            && take(&page.events).is_break()
        {
            page.next = Some(last.position.next());
        }
        page.events.clear();
        Ok(page)
    }

    fn event_at(&self, position: Position) -> BoxFuture<'_, Result<Option<Arc<Event>>, LogError>> {
        let found = self.inner.contents.read().records.at(position).cloned();
        done(Ok(found.map(|event| self.inner.bodies.whole(event))))
    }

    fn event_by_id(&self, id: EventId) -> BoxFuture<'_, Result<Option<Arc<Event>>, LogError>> {
        let found = self.inner.contents.read().records.find(&id);
        done(found.map(|found| found.map(|event| self.inner.bodies.whole(event))))
    }

    fn position_at_time(&self, time: i64) -> BoxFuture<'_, Result<Position, LogError>> {
        done(Ok(self.inner.contents.read().records.position_at_time(time)))
    }

    fn heads(&self, streams: Vec<StreamName>) -> BoxFuture<'_, Result<Vec<StreamHead>, LogError>> {
        let contents = self.inner.contents.read();
        let records = &contents.records;
        let head = |stream: &StreamName| {
            records.streams.get(stream).map_or(Head::default(), |known| known.head).of(stream.clone())
        };
        done(Ok(streams.iter().map(head).collect()))
    }

    fn streams(&self, list: StreamList) -> BoxFuture<'_, Result<Vec<StreamHead>, LogError>> {
        let contents = self.inner.contents.read();
        let records = &contents.records;
        let head = |name: &StreamName| {
            records.streams.get(name).map(|stream| stream.head).unwrap_or_default().of(name.clone())
        };
        if list.order != StreamOrder::Name {
            let streams = records.streams.iter();
            let found = list.select(streams.map(|(name, stream)| (name, stream.head.version, stream.head.position)));
            return done(Ok(found.iter().map(head).collect()));
        }
        let after = list.after.as_ref().map_or(Bound::Unbounded, |after| Bound::Excluded(after.name.as_str()));
        let found = records.streams.range::<str, _>((after, Bound::Unbounded)).map(|(name, _)| name);
        let found = found.filter(|name| list.matches(name.as_str())).take(list.most());
        done(Ok(found.map(head).collect()))
    }

    fn head(&self) -> Position {
        *self.inner.head.borrow()
    }

    fn watch_head(&self) -> watch::Receiver<Position> {
        self.inner.head.subscribe()
    }

    fn subscribe(&self, filter: Filter, start: Start) -> BoxFuture<'_, Result<Subscription, LogError>> {
        Box::pin(Subscription::new(Arc::new(self.clone()), filter, start))
    }

    fn state(&self, key: CompactString) -> BoxFuture<'_, Result<Option<Bytes>, LogError>> {
        done(Ok(self.inner.contents.read().state.get(&key).cloned()))
    }

    fn states(&self, prefix: CompactString) -> BoxFuture<'_, Result<Vec<(CompactString, Bytes)>, LogError>> {
        let contents = self.inner.contents.read();
        let range = contents.state.range::<str, _>((Bound::Included(prefix.as_str()), Bound::Unbounded));
        let found = range.take_while(|(key, _)| key.starts_with(prefix.as_str()));
        done(Ok(found.map(|(key, value)| (key.clone(), value.clone())).collect()))
    }

    fn projections(&self) -> Arc<dyn ProjectionStore> {
        Arc::clone(&self.inner.projections) as Arc<dyn ProjectionStore>
    }

    fn snapshots(&self) -> Arc<Snapshots> {
        Arc::clone(&self.inner.snapshots)
    }

    fn dropped(&self) -> BoxFuture<'_, Result<Vec<DroppedGroup>, LogError>> {
        done(Ok(self.inner.contents.read().records.gone.list()))
    }

    fn ready(&self) -> BoxFuture<'_, Result<(), LogError>> {
        done(Ok(()))
    }

    fn compact(&self, order: CompactOrder) -> BoxFuture<'_, Result<Compacted, LogError>> {
        Box::pin(self.compact_events(order))
    }

    fn usage(&self) -> BoxFuture<'_, Result<Usage, LogError>> {
        let bytes = self.inner.contents.read().records.events.iter().map(|event| event.size() as u64).sum();
        let parts = Parts { journal: bytes, ..Parts::default() };
        Box::pin(async move { usage(self, (self.inner.clock)(), parts, None, None, SpaceLevel::Normal).await })
    }

    fn health(&self) -> Health {
        let read_only = self.inner.contents.read().closed.then(|| "the log is closed".to_owned());
        Health {
            read_only,
            store: StoreHealth::Ready,
            notices: Vec::new(),
            head: self.head(),
            space: SpaceLevel::Normal,
            store_lag: 0,
        }
    }

    fn bodies(&self) -> Arc<Bodies> {
        Arc::clone(&self.inner.bodies)
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { durable: false, gapless_positions: true, atomic_streams: true }
    }

    fn is_closed(&self) -> bool {
        self.inner.contents.read().closed
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.inner.contents.write().closed = true;
        // Wakes those who wait for more.
        self.inner.head.send_modify(|_| ());
        done(())
    }
}

fn first_of(all: &[Appended]) -> Option<Appended> {
    all.first().copied()
}
