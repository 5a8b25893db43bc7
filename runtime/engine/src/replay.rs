//! Runs flows over recorded events in virtual time, with all effects taken down instead of done.
//!
//! A replay is an engine of its own on a runtime of one thread. Its clock stands still while anything can go on; then the
//! next recorded event is fed, or the next timer fires, whichever is due first. Nothing reaches the world: the handles
//! ([`handles`]) take down what a node wants, and answer as if it had been done; connections to MQTT brokers end at one
//! of them. The same input gives the same bytes, on any machine.
//!
//! It begins with no state: what nodes keep, they keep from what the replay itself brings.

pub(crate) mod clock;
mod handles;
mod idle;
mod recorded;
mod trace;

use std::collections::HashSet;
use std::iter::Peekable;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use serde::Serialize;
use tidewire_log::{EventLog, MemoryLog};
use tidewire_model::append::{AppendError, AppendRequest};
use tidewire_model::event::{Event, NewEvent};
use tidewire_model::flow::FlowDocument;
use tidewire_model::position::Position;
use tidewire_model::{NodeId, Problem};
use tidewire_node_api::handles::HandleError;
use tidewire_node_api::{NodeFacts, Registry};
pub use tokio_util::sync::CancellationToken;

use crate::clock::{Clock, Credentials};
use crate::engine::{Engine, EngineConfig};
use crate::log_handle::LogHandle;
use crate::projections::ProjectionService;
use crate::shared::Env;
use clock::VirtualClock;
use handles::{Placeholders, Withheld};
use idle::Idle;
pub use recorded::Recorded;
use trace::Trace;
pub use trace::{Entry, What};

/// Steps between two calls of the progress function.
const PROGRESS_EVERY: u64 = 1_000;

/// Events as they were recorded, in the order of the log.
pub type Events = Box<dyn Iterator<Item = Result<Arc<Event>, HandleError>> + Send>;

/// What is to be replayed.
pub struct Replay {
    pub document: FlowDocument,
    pub registry: Arc<Registry>,
    /// Asked which secrets there are; none of them comes into the replay.
    pub credentials: Arc<dyn Credentials>,
    pub env: Env,
    pub events: Events,
    /// Virtual time at which the flows start, and at which the replay ends; milliseconds since 1970.
    pub from: i64,
    pub to: i64,
    /// Nodes whose messages, statuses and errors are taken down.
    pub taps: Vec<NodeId>,
    pub limits: Limits,
    pub cancel: CancellationToken,
    /// Told now and then how far the replay is.
    pub progress: Box<dyn Fn(Progress) + Send>,
}

/// What a replay may use: all its events stay in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Events fed and appended.
    pub events: u64,
    /// Entries of the trace.
    pub entries: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { events: 5_000_000, entries: 1_000_000 }
    }
}

/// How far a replay is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// Virtual time.
    pub time: i64,
    /// Events fed.
    pub events: u64,
    pub entries: usize,
}

/// How a replay ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum End {
    /// At its end.
    Complete,
    Cancelled,
    /// At one of its [`Limits`].
    Limited,
}

/// What a replay did.
#[derive(Debug, Clone, Serialize)]
pub struct Replayed {
    pub end: End,
    /// Virtual time at the end.
    pub time: i64,
    /// Events fed.
    pub events: u64,
    /// Recorded events that nodes of these flows had made from others: the flows made them anew.
    pub made_anew: u64,
    /// Nodes that did not run as they stand.
    pub problems: Vec<Problem>,
    pub trace: Vec<Entry>,
}

/// Why a replay could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error("start a runtime for the replay")]
    Runtime(#[source] std::io::Error),
    #[error("read the recorded events: {0}")]
    Events(HandleError),
    #[error("feed the event at position {position}: {error}")]
    Feed { position: Position, error: AppendError },
}

/// Carries out a replay. Blocks: call it from a thread that may.
///
/// # Errors
/// When the recorded events cannot be read, or are no valid ones.
pub fn run(replay: Replay) -> Result<Replayed, ReplayError> {
    let (runtime, idle) = Idle::runtime().map_err(ReplayError::Runtime)?;
    runtime.block_on(Scheduler::new(replay, runtime.handle().clone(), idle).run())
}

struct Scheduler {
    engine: Engine,
    document: FlowDocument,
    events: Peekable<Events>,
    log: MemoryLog,
    clock: VirtualClock,
    idle: Idle,
    trace: Arc<Trace>,
    to: i64,
    limits: Limits,
    cancel: CancellationToken,
    progress: Box<dyn Fn(Progress) + Send>,
    fed: u64,
    made_anew: u64,
}

impl Scheduler {
    fn new(replay: Replay, runtime: tokio::runtime::Handle, idle: Idle) -> Self {
        let Replay { document, registry, credentials, env, events, from, to, taps, limits, cancel, progress } = replay;
        let clock = VirtualClock::starting_at(from);
        let trace = Arc::new(Trace::new(clock.clone(), limits.entries));
        let time = clock.clone();
        let log = MemoryLog::with_clock(move || time.now_ms());
        let projections = Arc::new(ProjectionService::new(Arc::new(log.clone()), runtime.clone()));
        let withheld =
            Withheld { log: log.clone(), projections, trace: trace.clone(), ids: Arc::new(AtomicU32::new(1)) };
        let engine = Engine::new(EngineConfig {
            registry,
            services: tidewire_node_api::Services {
                log: Arc::new(LogHandle::new(Arc::new(log.clone()))),
                ..withheld.services(&nobody())
            },
            clock: Arc::new(clock.clone()),
            credentials: Arc::new(Placeholders(credentials)),
            env,
            runtime,
            safe: false,
        });
        engine.shared().withhold(Box::new(move |facts| withheld.services(facts)));
        let seen = trace.clone();
        let taps: HashSet<NodeId> = taps.into_iter().collect();
        engine.shared().observers.attach(&taps, Box::new(move |frame| seen.seen(frame)));
        let events = events.peekable();
        Scheduler {
            engine,
            document,
            events,
            log,
            clock,
            idle,
            trace,
            to,
            limits,
            cancel,
            progress,
            fed: 0,
            made_anew: 0,
        }
    }

    async fn run(mut self) -> Result<Replayed, ReplayError> {
        let problems = self.engine.run(std::mem::take(&mut self.document)).await;
        let end = self.steps().await?;
        (self.progress)(self.now());
        let (time, trace) = (self.clock.now_ms(), self.trace.take());
        Ok(Replayed { end, time, events: self.fed, made_anew: self.made_anew, problems, trace })
    }

    /// One step after the other, each only when the one before has nothing more to bring.
    async fn steps(&mut self) -> Result<End, ReplayError> {
        for step in 1_u64.. {
            tokio::select! {
                biased;
                () = self.cancel.cancelled() => return Ok(End::Cancelled),
                () = self.idle.wait() => {}
            }
            if self.trace.is_full() || self.log.head().get() >= self.limits.events {
                return Ok(End::Limited);
            }
            if step % PROGRESS_EVERY == 0 {
                (self.progress)(self.now());
            }
            if !self.step().await? {
                self.clock.advance(self.to);
                break;
            }
        }
        Ok(End::Complete)
    }

    fn now(&self) -> Progress {
        Progress { time: self.clock.now_ms(), events: self.fed, entries: self.trace.len() }
    }

    /// Feeds the next event, or lets the next timers fire; those of the same moment come first. False at the end.
    async fn step(&mut self) -> Result<bool, ReplayError> {
        let timer = self.clock.next_due().filter(|at| *at <= self.to);
        let event = match self.events.peek() {
            Some(Ok(event)) => Some(event.recorded_time).filter(|at| *at <= self.to),
            Some(Err(error)) => return Err(ReplayError::Events(error.clone())),
            None => None,
        };
        match (timer, event) {
            (Some(timer), event) if event.is_none_or(|event| timer <= event) => self.clock.advance(timer),
            (_, Some(event)) => {
                self.clock.advance(event);
                if let Some(Ok(event)) = self.events.next() {
                    self.feed(&event).await?;
                }
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    async fn feed(&mut self, event: &Event) -> Result<(), ReplayError> {
        if self.is_made_by_the_flows(event) {
            self.made_anew += 1;
            return Ok(());
        }
        let fed = self.log.append(vec![again(event)]).await;
        match fed {
            Ok(_) => self.fed += 1,
            // The flows have made an event of this id from other data: they have changed since.
            Err(AppendError::DuplicateId { .. }) => self.made_anew += 1,
            Err(error) => return Err(ReplayError::Feed { position: event.position, error }),
        }
        Ok(())
    }

    /// It was made by a node of these flows from another event. What such a node brought in from outside is none.
    fn is_made_by_the_flows(&self, event: &Event) -> bool {
        let by_node = || event.node_id.as_deref().is_some_and(|node| self.engine.shared().slot(node).is_some());
        event.causation_id.is_some() && by_node()
    }
}

/// Who owns what belongs to no node.
fn nobody() -> NodeFacts {
    NodeFacts { id: "".into(), type_name: "".into(), name: "".into(), flow: "".into(), alias: None }
}

/// The append that stores an event once more.
fn again(event: &Event) -> AppendRequest {
    let event_again = NewEvent {
        id: Some(event.id.clone()),
        source: event.source.clone(),
        time: Some(event.time),
        causation_id: event.causation_id.clone(),
        correlation_id: event.correlation_id.clone(),
        actor: event.actor.clone(),
        flow_rev: event.flow_rev.clone(),
        node_id: event.node_id.clone(),
        raw: event.raw.clone(),
        extensions: event.extensions.clone(),
        data_schema: event.data_schema.clone(),
        ..NewEvent::new(event.event_type.clone(), &event.data_content_type, event.data.clone())
    };
    AppendRequest::one(event.stream.clone(), event_again)
}
