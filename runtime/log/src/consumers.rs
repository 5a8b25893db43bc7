//! Competing consumers: a group shares events out among its members, at least once each.
//!
//! A member leases events, and acknowledges them, gives them back or puts them aside (*parks* them). What is neither comes
//! back when its lease ends. Where a group stands is keyed state of the log: it is durable before events are handed out
//! and before an acknowledgement is confirmed, so a crash repeats events and loses none. Works on every engine.

mod group;
mod members;
mod stored;

use std::collections::BTreeMap;
use std::sync::Arc;

use compact_str::CompactString;
use tidewire_model::append::AppendError;
use tidewire_model::event::Event;
use tidewire_model::position::Position;
use tidewire_model::query::{Condition, Filter, Start};
use tokio::sync::{Mutex, Notify, OnceCell, OwnedMutexGuard};

use crate::subscription::first_position;
use crate::{Commit, EventLog, LogError};
use group::Group;
pub use group::Settle;
pub use stored::Parked;

/// Compiles the text of a condition.
pub type Compile = Arc<dyn Fn(&str) -> Result<Condition, String> + Send + Sync>;

/// How events are shared out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Strategy {
    /// To whoever asks.
    #[default]
    RoundRobin,
    /// All events of a stream to one member, in order: the next ones only to who holds those before.
    ByStream,
}

/// What a group is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupConfig {
    /// Which events. The log's own streams (`$…`) are left out unless the filter names one.
    pub filter: Filter,
    /// How they are shared out.
    pub strategy: Strategy,
    /// How many events one member may hold at a time.
    pub in_flight_max: u32,
    /// How long a member may hold one without an answer, in milliseconds.
    pub lease_ms: u64,
    /// How often an event is handed out before it is put aside.
    pub deliveries_max: u32,
}

impl Default for GroupConfig {
    fn default() -> Self {
        Self {
            filter: Filter::default(),
            strategy: Strategy::RoundRobin,
            in_flight_max: 100,
            lease_ms: 30_000,
            deliveries_max: 10,
        }
    }
}

/// An event that a member holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Leased {
    /// The event.
    pub event: Arc<Event>,
    /// How often it was handed out, this time included.
    pub delivery: u32,
}

/// How a member is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberStatus {
    /// Its name.
    pub name: String,
    /// How many events it holds.
    pub in_flight: u64,
    /// When it was heard of last, in milliseconds since 1970.
    pub seen: i64,
}

/// How a group is.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupStatus {
    /// Its name.
    pub name: CompactString,
    /// What it is.
    pub config: GroupConfig,
    /// Everything up to here is dealt with or put aside.
    pub floor: Position,
    /// Everything up to here was looked at.
    pub read: Position,
    /// How many positions the head of the log is ahead of `floor`.
    pub lag: u64,
    /// Events that members hold.
    pub in_flight: u64,
    /// Events that wait for a time before they are handed out again.
    pub waiting: u64,
    /// Events that were put aside.
    pub parked: u64,
    /// How often events were handed out.
    pub delivered: u64,
    /// How often that was not the first time.
    pub redelivered: u64,
    /// How many events were acknowledged.
    pub acknowledged: u64,
    /// Who was heard of within a day.
    pub members: Vec<MemberStatus>,
}

/// Why a group did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum ConsumerError {
    /// There is none of this name.
    #[error("there is no consumer group '{0}'; create it first")]
    Unknown(String),
    /// A name or number that cannot be used.
    #[error("{0}")]
    Invalid(String),
    /// The log could not be read.
    #[error("{}", .0.full_text())]
    Log(#[from] LogError),
    /// The group's state could not be stored.
    #[error(transparent)]
    Append(#[from] AppendError),
}

/// One group with what it has put aside.
#[derive(Clone)]
struct Shared {
    config: GroupConfig,
    group: Group,
    parked: Arc<BTreeMap<u64, Parked>>,
    /// How far the place that is stored is.
    saved: u64,
}

struct Handle {
    name: CompactString,
    /// As it is on the disk. Held for a moment only: whoever asks how the group is does not wait for the disk.
    shared: parking_lot::Mutex<Shared>,
    /// Held by who changes it, from looking at it until the change is on the disk.
    turn: Arc<Mutex<()>>,
    /// Something became free.
    changed: Notify,
}

impl Handle {
    fn new(name: CompactString, shared: Shared) -> Arc<Self> {
        let (shared, turn) = (parking_lot::Mutex::new(shared), Arc::default());
        Arc::new(Self { name, shared, turn, changed: Notify::new() })
    }

    /// The right to change the group.
    async fn turn(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.turn).lock_owned().await
    }

    /// The group as it is, to work on.
    fn now(&self) -> Shared {
        self.shared.lock().clone()
    }
}

type Groups = parking_lot::RwLock<BTreeMap<CompactString, Arc<Handle>>>;

/// All groups of a log. Share it: two of these on one log would not see each other.
pub struct Consumers {
    log: Arc<dyn EventLog>,
    compile: Compile,
    clock: Arc<dyn Fn() -> i64 + Send + Sync>,
    groups: OnceCell<Groups>,
    /// One creation or removal at a time.
    changing: Mutex<()>,
}

impl Consumers {
    /// The groups of a log. `clock` gives milliseconds since 1970.
    #[must_use]
    pub fn new(log: Arc<dyn EventLog>, compile: Compile, clock: Arc<dyn Fn() -> i64 + Send + Sync>) -> Self {
        Self { log, compile, clock, groups: OnceCell::new(), changing: Mutex::new(()) }
    }

    async fn groups(&self) -> Result<&Groups, ConsumerError> {
        self.groups.get_or_try_init(|| self.load()).await
    }

    async fn load(&self) -> Result<Groups, ConsumerError> {
        let mut groups = BTreeMap::new();
        for (name, loaded) in stored::load(&*self.log, &self.compile).await? {
            let saved = loaded.state.read;
            let group = Group::new(loaded.state);
            let shared = Shared { config: loaded.config, group, parked: Arc::new(loaded.parked), saved };
            groups.insert(name.clone(), Handle::new(name, shared));
        }
        Ok(parking_lot::RwLock::new(groups))
    }

    async fn handle(&self, name: &str) -> Result<Arc<Handle>, ConsumerError> {
        let found = self.groups().await?.read().get(name).cloned();
        found.ok_or_else(|| ConsumerError::Unknown(name.to_owned()))
    }

    /// Creates a group, or changes one; `start` counts for a new one only. Answers whether it is new.
    ///
    /// # Errors
    /// A name or number that cannot be used, or the log refuses.
    pub async fn set(&self, name: &str, config: GroupConfig, start: Start) -> Result<bool, ConsumerError> {
        stored::check(name, &config)?;
        let _changing = self.changing.lock().await;
        let before = self.groups().await?.read().get(name).cloned();
        if let Some(handle) = before {
            let turn = handle.turn().await;
            let next = Shared { config, ..handle.now() };
            let state = vec![stored::config_change(name, &next.config)];
            self.apply(&handle, turn, next, Commit { requests: Vec::new(), state }).await?;
            handle.changed.notify_waiters();
            return Ok(false);
        }
        let read = first_position(&*self.log, start).await?.previous();
        let mut group = Group::default();
        group.state.read = read.get();
        let state = vec![stored::config_change(name, &config), stored::state_change(name, &group.state)?];
        self.log.commit(Commit { requests: Vec::new(), state }).await?;
        let name = CompactString::from(name);
        let shared = Shared { config, group, parked: Arc::default(), saved: read.get() };
        self.groups().await?.write().insert(name.clone(), Handle::new(name, shared));
        Ok(true)
    }

    /// Forgets a group and all that it put aside.
    ///
    /// # Errors
    /// There is no such group, or the log refuses.
    pub async fn remove(&self, name: &str) -> Result<(), ConsumerError> {
        let _changing = self.changing.lock().await;
        let handle = self.handle(name).await?;
        let _turn = handle.turn().await;
        for state in stored::removal(name, handle.now().parked.keys().copied()) {
            self.log.commit(Commit { requests: Vec::new(), state }).await?;
        }
        self.groups().await?.write().remove(name);
        handle.changed.notify_waiters();
        Ok(())
    }

    /// How all groups are, by name.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn list(&self) -> Result<Vec<GroupStatus>, ConsumerError> {
        let handles: Vec<_> = self.groups().await?.read().values().cloned().collect();
        Ok(handles.iter().map(|handle| self.status_of(handle)).collect())
    }

    /// How long a member of a group may hold an event, in milliseconds.
    ///
    /// # Errors
    /// There is no such group.
    pub async fn lease_ms(&self, name: &str) -> Result<u64, ConsumerError> {
        Ok(self.handle(name).await?.shared.lock().config.lease_ms)
    }

    /// How a group is.
    ///
    /// # Errors
    /// There is no such group.
    pub async fn status(&self, name: &str) -> Result<GroupStatus, ConsumerError> {
        Ok(self.status_of(&*self.handle(name).await?))
    }

    fn status_of(&self, handle: &Handle) -> GroupStatus {
        let now = (self.clock)();
        let shared = handle.shared.lock();
        let (in_flight, waiting) = shared.group.counts(now);
        let state = &shared.group.state;
        let member = |(name, seen): (&String, i64)| MemberStatus {
            name: name.clone(),
            in_flight: shared.group.in_flight(name, now) as u64,
            seen,
        };
        let mut members: Vec<_> = shared.group.members().map(member).collect();
        members.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        GroupStatus {
            name: handle.name.clone(),
            config: shared.config.clone(),
            floor: Position::new(shared.group.floor()),
            read: Position::new(state.read),
            lag: self.log.head().get().saturating_sub(shared.group.floor()),
            in_flight: in_flight as u64,
            waiting: waiting as u64,
            parked: shared.parked.len() as u64,
            delivered: state.delivered,
            redelivered: state.redelivered,
            acknowledged: state.acknowledged,
            members,
        }
    }
}
