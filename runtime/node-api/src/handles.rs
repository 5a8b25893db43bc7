//! Handles through which nodes reach the log, read models and the network. All are object-safe and cheap to share.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use compact_str::CompactString;
use tidewire_model::Value;
use tidewire_model::append::{AppendError, AppendRequest, Appended, StateChange};
use tidewire_model::event::{Event, EventId, StreamName};
use tidewire_model::position::Position;
use tidewire_model::query::{Filter, Page, Query, Start};
use tokio::sync::Mutex;

use crate::cell::{Cell, Take};
use crate::selection::{Selected, Selection, SelectionError};

/// A future as trait objects hand it out.
pub type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A handle could not do what it was asked for: what happened and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct HandleError {
    pub text: String,
    /// The same may work later without change.
    pub retryable: bool,
}

impl HandleError {
    pub fn new(text: impl Into<String>) -> Self {
        HandleError { text: text.into(), retryable: false }
    }

    pub fn retryable(text: impl Into<String>) -> Self {
        HandleError { text: text.into(), retryable: true }
    }
}

/// Resolves when what was queued is durable.
pub type Durable = BoxFuture<Result<(), HandleError>>;

/// Keyed records: values without a position, beside the log.
pub type Records = Vec<(CompactString, Bytes)>;

/// The event log.
pub trait Log: Send + Sync {
    /// Appends each request on its own, in order; the future resolves when all are on disk or refused.
    fn append(&self, requests: Vec<AppendRequest>) -> BoxFuture<Vec<Result<Appended, AppendError>>>;

    /// Reads one page.
    fn read(&self, query: Query) -> BoxFuture<Result<Page, HandleError>>;

    /// The event with an id, if there is one.
    fn event(&self, id: EventId) -> BoxFuture<Result<Option<Arc<Event>>, HandleError>> {
        let _ = id;
        Box::pin(std::future::ready(Ok(None)))
    }

    /// Subscribes: what is stored from `start` on, then what comes, without gap or duplicate.
    fn subscribe(&self, filter: Filter, start: Start) -> Box<dyn Subscription>;

    /// Stores how far a durable subscription has got.
    fn save_checkpoint(&self, name: &str, position: Position) -> BoxFuture<Result<(), HandleError>>;

    /// How far a durable subscription has got, if its name was ever stored.
    fn checkpoint(&self, name: &str) -> BoxFuture<Result<Option<Position>, HandleError>> {
        let _ = name;
        Box::pin(std::future::ready(Ok(None)))
    }

    /// Puts keyed records beside the log. The outer future resolves when they are queued: from then on they become
    /// durable no later than anything that is appended afterwards. The inner one resolves when they are durable.
    fn put(&self, changes: Vec<StateChange>) -> BoxFuture<Result<Durable, HandleError>> {
        let _ = changes;
        Box::pin(std::future::ready(Err(HandleError::new("this log keeps no records"))))
    }

    /// All records whose key begins with `prefix`, by key.
    fn records(&self, prefix: &str) -> BoxFuture<Result<Records, HandleError>> {
        let _ = prefix;
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    /// Position of the last event.
    fn head(&self) -> Position;

    /// Joins a group that shares events out among its members. A log without groups has one member only.
    fn join(&self, join: Join) -> BoxFuture<Result<Box<dyn Member>, HandleError>> {
        let alone = Alone(Arc::new(Mutex::new(self.subscribe(join.filter, join.start))));
        Box::pin(std::future::ready(Ok(Box::new(alone) as Box<dyn Member>)))
    }
}

/// Who joins which group, and what the group is about.
#[derive(Debug, Clone)]
pub struct Join {
    pub group: String,
    pub member: String,
    pub filter: Filter,
    /// Where a new group begins.
    pub start: Start,
    /// All events of a stream go to one member, in order.
    pub by_stream: bool,
    /// How often an event is handed out before it is put aside.
    pub deliveries_max: u32,
}

/// What becomes of an event that a member holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It is dealt with.
    Done,
    /// It failed: it is handed out again after a while, to whoever asks.
    Again { delay_ms: u64, reason: String },
    /// The member still works on it.
    Working,
}

/// Events of a member, each with how often it was handed out.
pub type FetchedEvents = BoxFuture<Result<Vec<(Arc<Event>, u32)>, HandleError>>;

/// A member of a group. What it does not answer is handed to another one after a while.
pub trait Member: Send + Sync {
    /// Waits for events, at most `max` and not for ever: there may be none. Each comes with how often it was handed out.
    fn fetch(&self, max: usize) -> FetchedEvents;

    /// Answers for events.
    fn answer(&self, answers: Vec<(Position, Answer)>) -> BoxFuture<Result<(), HandleError>>;
}

/// The only member of a group.
struct Alone(Arc<Mutex<Box<dyn Subscription>>>);

impl Member for Alone {
    fn fetch(&self, _max: usize) -> FetchedEvents {
        let subscription = Arc::clone(&self.0);
        Box::pin(async move {
            let events = subscription.lock().await.next().await?;
            Ok(events.into_iter().map(|event| (event, 1)).collect())
        })
    }

    fn answer(&self, _answers: Vec<(Position, Answer)>) -> BoxFuture<Result<(), HandleError>> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// The future of [`Subscription::next`].
pub type NextEvents<'a> = Pin<Box<dyn Future<Output = Result<Vec<Arc<Event>>, HandleError>> + Send + 'a>>;

/// A running subscription. Dropping it ends it.
pub trait Subscription: Send {
    /// The next events, at least one, in order. Cancel-safe: events are not lost when the future is dropped.
    fn next(&mut self) -> NextEvents<'_>;
}

/// How a read model folds events. Pure.
pub trait Reducer: Send + Sync {
    /// The key an event belongs to; `None` when the event does not concern this read model.
    fn key(&self, event: &Event) -> Option<String> {
        let _ = event;
        None
    }

    /// The new value of the key; undefined removes the key.
    ///
    /// # Errors
    /// The event is parked with this reason and the read model goes on.
    fn apply(&self, state: Option<&Value>, event: &Event) -> Result<Value, String> {
        let _ = (state, event);
        Err("this reducer changes its state in place".to_owned())
    }

    /// Hands every key that an event concerns to `take`, with what it brings to it. By default this is [`Reducer::key`] and
    /// nothing more.
    ///
    /// # Errors
    /// The event is parked with this reason; what was taken before stays.
    fn each(&self, event: &Event, take: &mut Take<'_>) -> Result<(), String> {
        self.key(event).map_or(Ok(()), |key| take(&key, Value::Undefined))
    }

    /// The state of a key, to be changed in place; undefined when there is none yet. `None`: [`Reducer::apply`] makes a
    /// new state for each event.
    fn open(&self, key: &str, state: &Value) -> Option<Box<dyn Cell>> {
        let _ = (key, state);
        None
    }

    /// A filter that finds every event of one key, if there is a narrower one than that of the whole read model.
    /// It makes questions about the past cheap.
    fn narrow(&self, key: &str) -> Option<Filter> {
        let _ = key;
        None
    }

    /// The keys in which everything is that came of the events of one stream, if nothing else is in them. An erasure of that
    /// stream then leaves all others alone.
    fn keys_of(&self, stream: &StreamName) -> Option<Keys> {
        let _ = stream;
        None
    }

    /// Whether snapshots are taken now and then, so that it can be looked back at cheaply.
    fn snapshots(&self) -> bool {
        true
    }

    /// Whether keys are removed when they get old; then [`Reducer::is_expired`] is asked about each now and then.
    fn expires(&self) -> bool {
        false
    }

    /// Whether a key is too old, by the clock (milliseconds since 1970).
    fn is_expired(&self, key: &str, now: i64) -> bool {
        let _ = (key, now);
        false
    }

    /// What a reader sees of a state; the state itself by default.
    fn present(&self, state: &Value) -> Value {
        state.clone()
    }
}

/// Some keys of a read model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keys {
    One(String),
    /// All that begin so.
    Beginning(String),
}

impl Keys {
    /// Whether a key is one of them.
    pub fn contain(&self, key: &str) -> bool {
        match self {
            Keys::One(one) => one == key,
            Keys::Beginning(start) => key.starts_with(start.as_str()),
        }
    }
}

/// A read model to be kept.
#[derive(Clone)]
pub struct ProjectionSpec {
    pub name: String,
    pub filter: Filter,
    /// Changes whenever the definition does: another one means that the read model is built anew.
    pub definition: String,
    pub reducer: Arc<dyn Reducer>,
}

/// One entry of a read model.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub key: String,
    pub value: Value,
    /// The event that changed it last.
    pub position: Position,
    /// Time of that event, milliseconds since 1970.
    pub time: i64,
}

/// A moment in the past.
pub use tidewire_model::event::time::Point as At;

/// Read models.
pub trait Projections: Send + Sync {
    /// Keeps a read model until the guard is dropped; `changed` is told of every change that is durable, in order, but
    /// not while the read model is being built from history.
    ///
    /// # Errors
    /// When another node keeps a read model of this name.
    fn keep(&self, spec: ProjectionSpec, changed: Changed) -> Result<Box<dyn ProjectionGuard>, HandleError>;

    /// One entry, now.
    fn get(&self, name: &str, key: &str) -> BoxFuture<Result<Option<Entry>, HandleError>>;

    /// Entries that are selected, now or as they were.
    fn select(&self, name: &str, selection: Selection, at: Option<At>) -> BoxFuture<Result<Selected, SelectionError>>;

    /// One entry as it was.
    fn get_at(&self, name: &str, key: &str, at: At) -> BoxFuture<Result<Option<Entry>, HandleError>>;
}

/// Told of changes of a read model.
pub type Changed = Box<dyn Fn(&[Entry]) + Send + Sync>;

/// How far a read model is.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Progress {
    /// Every event up to here has taken effect.
    pub position: Position,
    /// How many events of the log are still to be looked at.
    pub lag: u64,
    /// How many keys it has.
    pub keys: u64,
    /// How many events it could not apply.
    pub parked: u64,
    /// How much is done, from 0 to 1, while it is being built from history.
    pub building: Option<f64>,
    /// Why it stands still, if it does.
    pub failed: Option<String>,
    /// It lacks events up to here, because retention removed them first; 0: it lacks none.
    pub lacks: Position,
}

/// Ends the keeping of a read model when dropped; its contents stay.
pub trait ProjectionGuard: Send + Sync {
    /// How far it is, where that is known.
    fn progress(&self) -> Option<Progress> {
        None
    }
}

/// A request to the outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
    pub timeout: Duration,
}

/// Its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpResponse {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

impl HttpResponse {
    /// A header by name, letter case ignored.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// HTTP requests. Redirects are not followed: they could carry a secret to another host.
pub trait Http: Send + Sync {
    /// Resolves with any answer, whatever its status.
    fn send(&self, request: HttpRequest) -> BoxFuture<Result<HttpResponse, HandleError>>;
}
