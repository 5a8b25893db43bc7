//! The durable outbox of nodes that act on the world: nothing is done before the wish for it is on disk.
//!
//! Each wish (a notification, a command) is an entry with a stream of its own, `<category>-<id>`. Its life is recorded
//! there, and at its start a node reads back what has no outcome yet. How an entry is carried out, and when it is tried
//! again, is the node's business.

mod backoff;
mod entry;
mod history;

use std::collections::VecDeque;
use std::sync::Arc;

use compact_str::{CompactString, format_compact};
use tidewire_model::Message;
use tidewire_model::append::{AppendError, AppendRequest, Appended};
use tidewire_model::position::Position;
use tidewire_node_api::handles::{HandleError, Log};
use tidewire_node_api::{Ctx, Emission, Feed, NodeError, Outcome, Signal, Token};

pub(crate) use backoff::Backoff;
pub(crate) use entry::{Cause, Recorded, entry_id, event_number, event_text, outcome_message};
pub(crate) use history::{History, Life};

/// Messages that wait while the outbox is being read back. More than that, and the log is in trouble.
const EARLY_MAX: usize = 1_000;

/// Time between attempts to read the outbox back, or to record what could not be recorded.
const AGAIN_MS: i64 = 5_000;

/// Least time between two stored checkpoints.
const CHECKPOINT_MS: i64 = 60_000;

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
    /// Go on with these, and with the messages that waited.
    Ready(History, VecDeque<(Message, Option<Token>)>),
    /// A new entry, at this position.
    Open(Position, Box<E>),
    /// The same wish was recorded before; whoever recorded it carries it out.
    Known,
    /// Nothing.
    Quiet,
}

/// See the module.
pub(crate) struct Outbox {
    category: &'static str,
    /// Whether the history has been read back.
    ready: bool,
    /// Messages that came before that.
    early: VecDeque<(Message, Option<Token>)>,
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
            ready: false,
            early: VecDeque::new(),
            requesting: 0,
            unrecorded: VecDeque::new(),
            settled: Position::ZERO,
            saved: Position::ZERO,
            saved_at: 0,
        }
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.ready
    }

    fn checkpoint_name(ctx: &Ctx<'_>) -> CompactString {
        format_compact!("outbox/{}", ctx.facts().id)
    }

    /// Reads back what has no outcome. [`News::Ready`] follows.
    pub(crate) fn start<E: Send + 'static>(&self, ctx: &mut Ctx<'_>) {
        let log = Arc::clone(&ctx.services().log);
        let (feed, category, name) = (ctx.feed(), self.category, Self::checkpoint_name(ctx));
        ctx.spawn(async move {
            let history = history::read_back(log.as_ref(), category, &name).await;
            feed.signal(own(Report::<E>::History(history)));
            Vec::new()
        });
    }

    /// Keeps a message until the history has been read back.
    pub(crate) fn park(&mut self, message: Message, ctx: &mut Ctx<'_>) -> Result<(), NodeError> {
        if self.early.len() >= EARLY_MAX {
            let text = "the event log has not answered yet and too many messages wait for it; this one was not taken";
            return Err(NodeError::new(text).on(message));
        }
        let token = ctx.take_token();
        self.early.push_back((message, token));
        Ok(())
    }

    /// Puts a wish on disk. The message's branch ends when it is there; [`News::Open`] follows.
    pub(crate) fn request<E: Send + 'static>(
        &mut self,
        entry: E,
        request: AppendRequest,
        token: Option<Token>,
        ctx: &mut Ctx<'_>,
    ) {
        self.requesting += 1;
        let (log, feed) = (Arc::clone(&ctx.services().log), ctx.feed());
        ctx.spawn(async move {
            let result = append(log.as_ref(), request).await;
            let ended = match &result {
                Ok(_) | Err(AppendError::DuplicateId { .. }) => {
                    token.map(|token| Emission::End { token: Some(token), outcome: Outcome::Done })
                }
                Err(error) => {
                    let error = NodeError::new(format!("not taken, because it could not be recorded: {error}"));
                    Some(Emission::Error { error, token })
                }
            };
            feed.signal(own(Report::Requested(Box::new(entry), result)));
            ended.into_iter().collect()
        });
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
                News::Ready(history, std::mem::take(&mut self.early))
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
            Report::Requested(_, Err(error)) => {
                self.requesting = self.requesting.saturating_sub(1);
                if matches!(error, AppendError::DuplicateId { .. }) { News::Known } else { News::Quiet }
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
