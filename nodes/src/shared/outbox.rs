//! The durable outbox of nodes that act on the world: nothing is done before the wish for it is on disk.
//!
//! Each wish (a notification, a command) is an entry with a stream of its own, `<category>-<id>`. Its life is recorded
//! there, and at its start a node reads back what has no outcome yet. How an entry is carried out, and when it is tried
//! again, is the node's business.

mod backoff;
mod entry;
mod history;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use compact_str::{CompactString, format_compact};
use tidewire_model::Message;
use tidewire_model::append::{AppendError, AppendRequest, Appended};
use tidewire_model::position::Position;
use tidewire_node_api::handles::{HandleError, Log};
use tidewire_node_api::{Ctx, Emission, Feed, NodeError, Outcome, Signal};

pub(crate) use backoff::Backoff;
pub(crate) use entry::{Cause, Recorded, entry_id, event_number, event_text, outcome_message};
pub(crate) use history::{History, Life, ends_command, walk};

/// Time between attempts to read the outbox back, or to record what could not be recorded.
const AGAIN_MS: i64 = 5_000;

/// Least time between two stored checkpoints.
const CHECKPOINT_MS: i64 = 60_000;

/// Messages that a node is given while others are on their way to the disk: they go there together.
const REQUESTS_MAX: usize = 64;

/// Timer keys that belong to the outbox; nodes use others.
pub(crate) const TIMER_KEYS: std::ops::Range<u64> = 0..2;
const READ_AGAIN: u64 = 0;
const RECORD_AGAIN: u64 = 1;

/// What the outbox tells its node, as [`Signal::Own`].
pub(crate) enum Report<E> {
    /// It was read back, or could not be.
    History(Result<History, HandleError>),
    /// The wish is on disk, or was refused.
    Requested(Box<E>, Result<Appended, AppendError>),
    /// An outcome could not be recorded.
    Unrecorded(Box<AppendRequest>, AppendError),
}

/// What the node has to do about a [`Report`].
pub(crate) enum News<E> {
    /// Go on with these.
    Ready(History),
    /// A new entry, at this position.
    Open(Position, Box<E>),
    /// The same wish was recorded before; whoever recorded it carries it out.
    Known,
    /// It could not be recorded, so it is none. Its message comes again, or counts as failed.
    Refused(Box<E>),
    /// Nothing.
    Quiet,
}

/// See the module.
pub(crate) struct Outbox {
    category: &'static str,
    /// How far back wishes matter to the node whatever became of them, in milliseconds.
    memory_ms: Option<i64>,
    /// Whether the history has been read back.
    ready: bool,
    /// The messages that asked for what has no outcome, as they were kept in the last run, by the entry's id.
    asked: HashMap<CompactString, Message>,
    /// Wishes on their way to the disk.
    requesting: usize,
    unrecorded: VecDeque<AppendRequest>,
    /// Everything up to here is settled, as far as this node knows.
    settled: Position,
    saved: Position,
    saved_at: i64,
}

impl Outbox {
    pub(crate) fn new(category: &'static str) -> Self {
        Outbox {
            category,
            memory_ms: None,
            ready: false,
            asked: HashMap::new(),
            requesting: 0,
            unrecorded: VecDeque::new(),
            settled: Position::ZERO,
            saved: Position::ZERO,
            saved_at: 0,
        }
    }

    /// Reads back what was asked for of late, too; see [`History::recent`].
    pub(crate) fn recalling(mut self, memory_ms: i64) -> Self {
        self.memory_ms = Some(memory_ms);
        self
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.ready
    }

    /// How many messages the node may be given: none before the outbox was read back, they wait in the inbox.
    pub(crate) fn room(&self) -> usize {
        if self.ready { REQUESTS_MAX } else { 0 }
    }

    fn checkpoint_name(ctx: &Ctx<'_>) -> CompactString {
        format_compact!("outbox/{}", ctx.facts().id)
    }

    /// Reads back what has no outcome. [`News::Ready`] follows.
    pub(crate) fn start<E: Send + 'static>(&self, ctx: &mut Ctx<'_>) {
        let log = Arc::clone(&ctx.services().log);
        let (feed, category, name) = (ctx.feed(), self.category, Self::checkpoint_name(ctx));
        let since = self.memory_ms.map(|memory| ctx.now_ms() - memory);
        ctx.spawn(async move {
            let history = history::read_back(log.as_ref(), category, &name, since).await;
            feed.signal(own(Report::<E>::History(history)));
            Vec::new()
        });
    }

    /// Puts a wish on disk. The branch of its message ends when it is there; [`News::Open`] follows. While the log takes
    /// nothing the message comes again and again, and those behind it wait.
    pub(crate) fn request<E: Send + 'static>(
        &mut self,
        (id, entry): (&str, E),
        request: AppendRequest,
        message: Message,
        ctx: &mut Ctx<'_>,
    ) {
        self.requesting += 1;
        ctx.keep(&asked_key(id), Some(message.to_bytes()), None);
        let (deferred, log, feed) = (ctx.defer(), Arc::clone(&ctx.services().log), ctx.feed());
        ctx.spawn(async move {
            let result = append(log.as_ref(), request).await;
            let ended = match &result {
                Ok(_) | Err(AppendError::DuplicateId { .. }) => Emission::Finish { deferred, outcome: Outcome::Done },
                Err(error) if error.is_retryable() => Emission::Retry { message, token: deferred.token },
                Err(error) => {
                    let text = format!("not taken, because it could not be recorded: {error}");
                    Emission::Error { error: NodeError::new(text).on(message), token: deferred.token }
                }
            };
            feed.signal(own(Report::Requested(Box::new(entry), result)));
            vec![ended]
        });
    }

    /// The message that asked for an entry, in an earlier run.
    pub(crate) fn asked(&self, id: &str) -> Option<Message> {
        self.asked.get(id).cloned()
    }

    /// An entry is settled, or is none.
    pub(crate) fn forget(&mut self, id: &str, ctx: &Ctx<'_>) {
        self.asked.remove(id);
        ctx.keep(&asked_key(id), None, None);
    }

    /// Takes what was kept of the last run; what belongs to no open entry is of no use any more.
    fn remember(&mut self, history: &History, ctx: &Ctx<'_>) {
        for (key, bytes) in ctx.kept() {
            let Some(id) = key.strip_prefix(ASKED) else { continue };
            match Message::from_bytes(&bytes).ok().filter(|_| history.open.iter().any(|life| life.id == id)) {
                Some(message) => drop(self.asked.insert(id.into(), message)),
                None => ctx.keep(&key, None, None),
            }
        }
    }

    /// What records outcomes, for use in asynchronous work.
    pub(crate) fn recorder<E: Send + 'static>(&self, ctx: &Ctx<'_>) -> Recorder {
        Recorder {
            log: Arc::clone(&ctx.services().log),
            feed: ctx.feed(),
            unrecorded: |request, error| own(Report::<E>::Unrecorded(Box::new(request), error)),
        }
    }

    /// Records something without further ado.
    pub(crate) fn record<E: Send + 'static>(&self, request: AppendRequest, ctx: &mut Ctx<'_>) {
        let recorder = self.recorder::<E>(ctx);
        ctx.spawn(async move {
            recorder.record(request).await;
            Vec::new()
        });
    }

    /// Records an outcome, then sends a message about it.
    pub(crate) fn record_and_emit<E: Send + 'static>(
        &self,
        request: AppendRequest,
        (port, message): (usize, Message),
        ctx: &mut Ctx<'_>,
    ) {
        let recorder = self.recorder::<E>(ctx);
        ctx.spawn(async move {
            recorder.record(request).await;
            vec![Emission::Emit { port, message, token: None }]
        });
    }

    /// Takes a report and says what it means.
    pub(crate) fn take<E: Send + 'static>(&mut self, report: Report<E>, ctx: &mut Ctx<'_>) -> News<E> {
        match report {
            Report::History(Ok(history)) => {
                self.ready = true;
                self.settled = self.settled.max(history.head);
                self.remember(&history, ctx);
                News::Ready(history)
            }
            Report::History(Err(error)) => {
                ctx.warn(format!("the outbox could not be read back, trying again: {error}"));
                ctx.set_timer(READ_AGAIN, ctx.now_ms() + AGAIN_MS);
                News::Quiet
            }
            Report::Requested(entry, Ok(appended)) => {
                self.requesting = self.requesting.saturating_sub(1);
                if appended.deduplicated {
                    return News::Known;
                }
                self.settled = self.settled.max(appended.last_position);
                News::Open(appended.first_position, entry)
            }
            Report::Requested(entry, Err(error)) => {
                self.requesting = self.requesting.saturating_sub(1);
                if error.is_retryable() {
                    ctx.warn(format!("cannot be recorded now, trying again: {error}"));
                }
                if matches!(error, AppendError::DuplicateId { .. }) { News::Known } else { News::Refused(entry) }
            }
            Report::Unrecorded(request, error) => {
                if error.is_retryable() {
                    self.unrecorded.push_back(*request);
                    ctx.set_timer(RECORD_AGAIN, ctx.now_ms() + AGAIN_MS);
                } else if !matches!(error, AppendError::DuplicateId { .. }) {
                    ctx.error(NodeError::new(format!("an outcome could not be recorded: {error}")));
                }
                News::Quiet
            }
        }
    }

    /// Takes a timer with one of [`TIMER_KEYS`].
    pub(crate) fn timer<E: Send + 'static>(&mut self, key: u64, ctx: &mut Ctx<'_>) {
        if key == READ_AGAIN {
            self.start::<E>(ctx);
        } else {
            for request in std::mem::take(&mut self.unrecorded) {
                self.record::<E>(request, ctx);
            }
        }
    }

    /// Stores from where the next start has to read. `open` is the position of the oldest entry without outcome.
    pub(crate) fn checkpoint(&mut self, open: Option<Position>, ctx: &mut Ctx<'_>) {
        let now = ctx.now_ms();
        if !self.ready || self.requesting > 0 || !self.unrecorded.is_empty() || now - self.saved_at < CHECKPOINT_MS {
            return;
        }
        let safe = open.map_or(self.settled, |open| open.previous().min(self.settled));
        if safe <= self.saved {
            return;
        }
        (self.saved, self.saved_at) = (safe, now);
        let (log, name) = (Arc::clone(&ctx.services().log), Self::checkpoint_name(ctx));
        ctx.spawn(async move {
            // A checkpoint that is not stored only means that the next start reads more.
            let _ = log.save_checkpoint(&name, safe).await;
            Vec::new()
        });
    }
}

/// Prefix of the records of messages that asked for something.
const ASKED: &str = "asked/";

fn asked_key(id: &str) -> CompactString {
    format_compact!("{ASKED}{id}")
}

fn own<E: Send + 'static>(report: Report<E>) -> Signal {
    Signal::Own(Box::new(report))
}

async fn append(log: &dyn Log, request: AppendRequest) -> Result<Appended, AppendError> {
    log.append(vec![request]).await.pop().unwrap_or(Err(AppendError::Closed))
}

/// Records outcomes; what cannot be recorded goes back to the node, which tries again.
pub(crate) struct Recorder {
    log: Arc<dyn Log>,
    feed: Arc<dyn Feed>,
    unrecorded: fn(AppendRequest, AppendError) -> Signal,
}

impl Recorder {
    pub(crate) async fn record(&self, request: AppendRequest) {
        if let Err(error) = append(self.log.as_ref(), request.clone()).await {
            self.feed.signal((self.unrecorded)(request, error));
        }
    }

    /// The way back into the node.
    pub(crate) fn feed(&self) -> &Arc<dyn Feed> {
        &self.feed
    }
}
