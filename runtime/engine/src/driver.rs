//! The one task of a running node: takes batches from its inbox, runs the node, sends what it emits.
//!
//! Nodes never see channels; panics stay here.

mod comeback;
mod ending;

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures_util::Stream;
use futures_util::stream::{FuturesOrdered, FuturesUnordered};
use tidewire_model::message::Flags;
use tidewire_model::{Problem, Severity, Value};
use tidewire_node_api::ctx::Spawned;
use tidewire_node_api::{Batch, Ctx, Delivery, Emission, Host, Kind, Node, NodeError, Outputs, Signal, Work};

use crate::crashes::{Crashes, Panic};
use crate::down::WhenDown;
use crate::host::NodeHost;
use crate::inbox::Taken;
use crate::observe::{TapDir, TapFrame};
use crate::pace::{ACTIVATION, Pace};
use crate::shared::Shared;
use crate::slot::Slot;
use crate::wiring::{Scratch, finish, send};

/// Pause before messages are tried again that could not be dealt with now.
const RETRY_MS: i64 = 1_000;

/// Builds an instance of the node; called again after a panic.
pub type Build = Arc<dyn Fn() -> Result<Box<dyn Node>, String> + Send + Sync>;

/// Everything the task holds. When it goes, in whatever way, what it had taken and not finished goes back to the slot.
pub struct Driver {
    shared: Arc<Shared>,
    pub slot: Arc<Slot>,
    host: NodeHost,
    node: Option<Box<dyn Node>>,
    build: Build,
    batch: Batch,
    outputs: Outputs,
    spawned: Spawned,
    ordered: FuturesOrdered<Work>,
    unordered: FuturesUnordered<Work>,
    scratch: Scratch,
    /// The node starts work for each message rather than for each batch.
    work_per_message: bool,
    /// The node is only a stand-in for one that cannot be built.
    stand_in: bool,
    failures: u32,
    crashes: Crashes,
    pace: Pace,
    /// Messages that are to be tried again, and when. Nothing else is taken before them.
    held: Batch,
    try_again: Option<i64>,
    /// Work ran too long: nothing is taken before then.
    rest_until: Option<i64>,
}

enum Woken {
    Taken(Taken),
    Finished(Vec<Emission>),
    TryAgain,
}

impl Driver {
    pub fn new(shared: Arc<Shared>, slot: Arc<Slot>, node: Box<dyn Node>, build: Build) -> Self {
        slot.inbox.reset();
        // Config nodes offer their resource from the moment they are built, so that their users can start with them.
        *slot.resource.lock() = node.resource();
        let outputs = slot.unsent.lock().take().unwrap_or_default();
        Driver {
            host: NodeHost::new(shared.clone(), slot.clone()),
            scratch: Scratch::on(&shared.runtime),
            shared,
            slot,
            node: Some(node),
            build,
            batch: Batch::new(),
            outputs,
            spawned: Spawned::default(),
            ordered: FuturesOrdered::new(),
            unordered: FuturesUnordered::new(),
            work_per_message: false,
            stand_in: false,
            failures: 0,
            crashes: Crashes::default(),
            pace: Pace::default(),
            held: Batch::new(),
            try_again: None,
            rest_until: None,
        }
    }

    /// Shows why the node is only a stand-in.
    pub fn show_problem(&mut self, problem: &Problem) {
        if problem.severity == Severity::Error {
            self.stand_in = true;
            self.host.report(NodeError::new(problem.text.clone()), None);
        }
        self.failed(problem.text.clone());
    }

    /// Calls `start`, so that a deploy knows at once whether the node came up.
    pub fn start(&mut self) -> Result<(), String> {
        // Kept until a start goes well: one that fails is tried again, with the same state.
        let state = self.slot.state.lock().clone();
        let text = match self.attempt(|node, ctx| node.start(state, ctx)) {
            Ok(Ok(())) => {
                *self.slot.state.lock() = None;
                return Ok(());
            }
            Ok(Err(error)) => error.text,
            Err(panic) => panic.text,
        };
        self.host.report(NodeError::new(text.clone()), None);
        Err(self.failed(text))
    }

    /// The task. `started` says whether [`Driver::start`] went well.
    pub async fn run(mut self, mut started: bool) {
        let reason = loop {
            if !started {
                match self.start_again().await {
                    Ok(()) => started = true,
                    Err(reason) => break reason,
                }
            }
            self.flush().await;
            self.rest().await;
            match self.wake().await {
                Woken::Finished(emissions) => self.take_emissions(emissions),
                Woken::TryAgain => self.try_again(),
                Woken::Taken(Taken::Signal(signal)) => started = self.handle_signal(signal),
                Woken::Taken(Taken::Messages) => started = self.activate(),
                Woken::Taken(Taken::Stop(reason)) => break reason,
            }
            self.shared.keeper.wait_room().await;
            tokio::task::consume_budget().await;
        };
        self.wind_down(reason).await;
    }

    async fn wake(&mut self) -> Woken {
        let waits = self.stand_in && *self.slot.when_down.lock() == Some(WhenDown::Wait);
        let room = if self.held.is_empty() && !waits { self.room() } else { 0 };
        let (pause, clock) = (self.try_again, self.shared.clock.clone());
        let Driver { slot, batch, ordered, unordered, .. } = self;
        let woken = poll_fn(|cx| {
            if let Some(emissions) = poll_work(ordered, unordered, cx) {
                return Poll::Ready(Woken::Finished(emissions));
            }
            slot.inbox.poll_take(batch, room > 0, cx).map(Woken::Taken)
        });
        match pause {
            None => woken.await,
            Some(at) => tokio::select! {
                biased;
                woken = woken => woken,
                () = clock.until(at) => Woken::TryAgain,
            },
        }
    }

    /// A node whose work ran too long pauses, so that it never takes more than a small part of the machine.
    async fn rest(&mut self) {
        let Some(at) = self.rest_until.take() else { return };
        let clock = self.shared.clock.clone();
        tokio::select! {
            biased;
            _ = self.slot.inbox.wait_stop() => {}
            () = clock.until(at) => {}
        }
    }

    /// Puts what is to be tried again before everything else, once nothing is under way any more.
    fn try_again(&mut self) {
        if self.ordered.is_empty() && self.unordered.is_empty() {
            self.try_again = None;
            self.held.append(&mut self.batch);
            std::mem::swap(&mut self.held, &mut self.batch);
        } else {
            self.try_again = Some(self.shared.clock.now_ms() + RETRY_MS);
        }
    }

    /// How many more messages the node may be given at once.
    fn room(&self) -> usize {
        let limit = self.node.as_ref().map_or(1, |node| node.concurrency());
        let free = limit.saturating_sub(self.ordered.len() + self.unordered.len());
        if self.work_per_message { free } else { free.min(1) * ACTIVATION }
    }

    /// Lets the node work on what the batch holds, as much as one activation may. False when the node has to be
    /// started again.
    fn activate(&mut self) -> bool {
        // One message at a time where a tap looks, so that its frames come in the order things happen.
        let most = if self.slot.is_tapped() { 1 } else { self.pace.messages() };
        let size = self.room().min(most);
        let mut chunk =
            if self.batch.len() <= size { std::mem::take(&mut self.batch) } else { self.batch.drain(..size).collect() };
        let count = chunk.len() as u64;
        self.tap_in(&chunk);
        if let Some(last) = chunk.back() {
            self.slot.recent.remember(&last.message, self.shared.clock.now_ms());
        }
        let began = Instant::now();
        let under_way = self.ordered.len() + self.unordered.len();
        let work = |node: &mut Box<dyn Node>, ctx: &mut Ctx<'_>| node.process_batch(&mut chunk, ctx);
        // A node that takes long over each message must not hold up others that share its thread.
        let result = if self.pace.is_slow() && self.shared.has_threads {
            tokio::task::block_in_place(|| self.attempt(work))
        } else {
            self.attempt(work)
        };
        // A node that starts work for each message is given only as many as may be under way from now on.
        self.work_per_message |= self.ordered.len() + self.unordered.len() > under_way + 1;
        let took = u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX);
        // In a replay the pace of the machine must not show.
        if !self.host.only_records() {
            self.pace.took(count - chunk.len() as u64, took);
        }
        if self.host.ran_away() {
            let rest = self.pace.ran_away(Duration::from_nanos(took));
            let rest_ms = i64::try_from(rest.as_millis()).unwrap_or(i64::MAX);
            self.rest_until = Some(self.shared.clock.now_ms().saturating_add(rest_ms));
        } else {
            self.pace.ended_well();
        }
        self.slot.counters.busy_ns.add(took);
        self.slot.counters.received.add(count - chunk.len() as u64);
        self.slot.counters.add_batch(count);
        if self.batch.is_empty() {
            // The emptied queue goes round: no allocation per activation.
            self.batch = chunk;
        } else if !chunk.is_empty() {
            chunk.append(&mut self.batch);
            self.batch = chunk;
        }
        self.slot.inbox.set_pending(self.batch.len());
        match result {
            Ok(()) => true,
            Err(panic) => {
                self.crashed(panic);
                false
            }
        }
    }

    /// Works off the whole batch. False when the node crashed on the way.
    async fn work_off(&mut self) -> bool {
        while !self.batch.is_empty() {
            while self.room() == 0 {
                match self.next_finished().await {
                    Some(emissions) => self.take_emissions(emissions),
                    // The node takes nothing now, and not because of what is under way.
                    None => return false,
                }
            }
            let well = self.activate();
            self.flush().await;
            if !well {
                return false;
            }
            tokio::task::consume_budget().await;
        }
        true
    }

    /// The next work that ends; `None` when none is under way.
    async fn next_finished(&mut self) -> Option<Vec<Emission>> {
        let Driver { ordered, unordered, .. } = self;
        poll_fn(|cx| match poll_work(ordered, unordered, cx) {
            Some(emissions) => Poll::Ready(Some(emissions)),
            None if ordered.is_empty() && unordered.is_empty() => Poll::Ready(None),
            None => Poll::Pending,
        })
        .await
    }

    fn handle_signal(&mut self, signal: Signal) -> bool {
        let result = self.attempt(|node, ctx| {
            ctx.begin_signal();
            let result = node.signal(signal, ctx);
            ctx.end(result);
        });
        match result {
            Ok(()) => true,
            Err(panic) => {
                self.crashed(panic);
                false
            }
        }
    }

    /// Runs the node, catches its panic, and collects the work it started.
    fn attempt<T>(&mut self, run: impl FnOnce(&mut Box<dyn Node>, &mut Ctx<'_>) -> T) -> Result<T, Panic> {
        let Some(node) = self.node.as_mut() else { return Err(Panic::nothing("the node is not there")) };
        let mut ctx = Ctx::new(&self.host, &mut self.outputs, &mut self.spawned);
        let result = catch_unwind(AssertUnwindSafe(|| run(node, &mut ctx)));
        let result = result.map_err(|panic| Panic::new(panic.as_ref(), ctx.wreck()));
        self.ordered.extend(self.spawned.ordered.drain(..));
        self.unordered.extend(self.spawned.unordered.drain(..));
        result
    }

    /// The node goes; the message that it crashed on, if it is known, goes where its errors go. If it is not, whoever
    /// waits for it brings it again, and then it is known.
    fn crashed(&mut self, panic: Panic) {
        tracing::error!(node_id = %self.host.facts().id, panic = panic.text, "node panicked, building it anew");
        self.slot.be_careful();
        self.crashes.count(self.shared.clock.now_ms());
        let mut error = NodeError::new(format!("the node crashed and is started again: {}", panic.text));
        error.message = panic.wreck.completion;
        let token = panic.wreck.token.filter(|_| error.message.is_some());
        self.host.report(error, token);
        self.shared.timers.cancel_all(self.host.instance());
        self.node = None;
    }

    fn take_emissions(&mut self, emissions: Vec<Emission>) {
        for emission in emissions {
            match emission {
                Emission::Emit { port, message, token } => self.outputs.push(port, message, token),
                Emission::End { token, outcome } => finish(token, outcome),
                Emission::Retry { message, token } => {
                    self.held.push_back(Delivery::new(message, token));
                    self.try_again.get_or_insert_with(|| self.shared.clock.now_ms() + RETRY_MS);
                }
                Emission::Error { error, token } => self.host.report(error, token),
                Emission::Finish { deferred, outcome } => {
                    let mut ctx = Ctx::new(&self.host, &mut self.outputs, &mut self.spawned);
                    ctx.finish(deferred, outcome);
                }
            }
        }
    }

    /// Sends what the node emitted. Cancel-safe in the sense that what is not sent stays in `outputs`.
    async fn flush(&mut self) {
        if self.outputs.pending() == 0 {
            return;
        }
        let Driver { slot, outputs, scratch, shared, host, .. } = self;
        let source = slot.meta.is_some_and(|meta| meta.kind == Kind::Source);
        for (port, deliveries) in outputs.ports_mut().iter_mut().enumerate() {
            if deliveries.is_empty() {
                continue;
            }
            if slot.is_tapped() {
                tap_out(shared, slot, port, deliveries);
            }
            if let Some(last) = deliveries.last().filter(|_| source) {
                slot.recent.remember(&last.message, shared.clock.now_ms());
            }
            if host.only_records() {
                mark_replayed(deliveries);
            }
            slot.counters.add_sent(port, deliveries.len() as u64);
            send(&shared.limits, slot, port, deliveries, scratch).await;
        }
        outputs.emptied();
        scratch.wake();
        scratch.lines.drain(..).for_each(|(level, text)| host.log(level, text));
        scratch.errors.drain(..).for_each(|(error, token)| host.report(error, token));
    }

    fn tap_in(&self, batch: &Batch) {
        if !self.slot.is_tapped() {
            return;
        }
        for delivery in batch {
            let node = self.host.facts().id.clone();
            let message = delivery.message.to_value();
            self.shared.observers.tapped(TapFrame { node, dir: TapDir::In, port: None, message, handled: false });
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.shared.timers.cancel_all(self.host.instance());
        self.held.append(&mut self.batch);
        self.slot.inbox.put_back(&mut self.held);
        if self.outputs.pending() > 0 {
            *self.slot.unsent.lock() = Some(std::mem::take(&mut self.outputs));
        }
    }
}

fn poll_work(
    ordered: &mut FuturesOrdered<Work>,
    unordered: &mut FuturesUnordered<Work>,
    cx: &mut Context<'_>,
) -> Option<Vec<Emission>> {
    if !ordered.is_empty()
        && let Poll::Ready(Some(emissions)) = Pin::new(ordered).poll_next(cx)
    {
        return Some(emissions);
    }
    if !unordered.is_empty()
        && let Poll::Ready(Some(emissions)) = Pin::new(unordered).poll_next(cx)
    {
        return Some(emissions);
    }
    None
}

fn mark_replayed(deliveries: &mut [Delivery]) {
    for delivery in deliveries {
        let flags = delivery.message.flags();
        delivery.message.set_flags(Flags { replayed: true, ..flags });
    }
}

fn tap_out(shared: &Shared, slot: &Slot, port: usize, deliveries: &[Delivery]) {
    let facts = slot.facts();
    for delivery in deliveries {
        let message: Value = delivery.message.to_value();
        shared.observers.tapped(TapFrame {
            node: facts.id.clone(),
            dir: TapDir::Out,
            port: Some(port),
            message,
            handled: false,
        });
    }
}
