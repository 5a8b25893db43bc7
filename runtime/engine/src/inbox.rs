//! The inbox of a slot: a bounded queue that outlives the instances of its node.
//!
//! The batch is its unit: producers push many deliveries under one lock, the consumer swaps the whole queue out.
//! Whoever waits, waits in the queue itself, under the same lock: a wake-up cannot be lost. It knows nothing of nodes.

mod budget;
mod circle;
mod feed;
#[cfg(test)]
mod interleavings;
mod policy;
mod queue;
mod sync;
#[cfg(test)]
mod tests;

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use tidewire_node_api::{Batch, Delivery, Signal, StopReason};

pub use budget::Budget;
pub use circle::Circle;
pub use feed::InboxFeed;
pub use policy::{Amount, Limits, Policy, Way};
pub use queue::Drops;

use budget::register;
use queue::Queue;
use sync::Mutex;

/// What became of a push.
#[derive(Debug, PartialEq, Eq)]
pub enum Pushed {
    /// Everything went in, or was dropped by the rules of its way.
    All,
    /// The sender has to wait with what is left.
    Full,
    /// Nobody will ever read here again; nothing was taken.
    Closed,
}

/// What the consumer finds when it is woken.
pub enum Taken {
    Signal(Signal),
    Stop(StopReason),
    /// Messages were put into the batch.
    Messages,
}

/// Those who read from inboxes that got something, in the order of their getting it. Dropping it wakes them.
#[derive(Default)]
pub struct Consumers {
    wakers: Vec<Waker>,
    /// A thread of the runtime runs the task that it woke last first, and the others in the order of their waking.
    pub last_runs_first: bool,
}

impl Consumers {
    /// Wakes them so that they run in their order where one thread runs them all.
    pub fn wake(&mut self) {
        let mut wakers = self.wakers.drain(..);
        let first = if self.last_runs_first { wakers.next() } else { None };
        wakers.for_each(Waker::wake);
        if let Some(first) = first {
            first.wake();
        }
    }
}

impl Drop for Consumers {
    fn drop(&mut self) {
        self.wake();
    }
}

/// See the module.
#[derive(Default)]
pub struct Inbox {
    queue: Mutex<Queue>,
    /// Length of what the consumer took and did not begin with, for observers. Written by the consumer.
    pending: AtomicUsize,
}

impl Inbox {
    /// Takes deliveries by the rules of their way; those that gave way are in `drops`.
    pub fn push(&self, deliveries: &mut Vec<Delivery>, way: Way, drops: &mut Drops) -> Pushed {
        self.push_quietly(deliveries, way, drops, &mut Consumers::default())
    }

    /// As [`Inbox::push`], but whoever reads here is only noted, to be woken together with others.
    pub fn push_quietly(
        &self,
        deliveries: &mut Vec<Delivery>,
        way: Way,
        drops: &mut Drops,
        consumers: &mut Consumers,
    ) -> Pushed {
        let mut queue = self.queue.lock();
        if queue.is_closed(way) {
            return Pushed::Closed;
        }
        queue.push(deliveries, way, drops);
        let wakes = queue.settle(false);
        drop(queue);
        consumers.wakers.extend(wakes.wake_others());
        if deliveries.is_empty() { Pushed::All } else { Pushed::Full }
    }

    /// Takes one delivery that must not wait, such as an error on its way to a catch node.
    ///
    /// # Errors
    /// No room, or nobody reads here any more: the delivery comes back.
    pub fn push_feedback(&self, delivery: Delivery) -> Result<(), Delivery> {
        let (mut deliveries, mut drops) = (vec![delivery], Drops::default());
        self.push(&mut deliveries, Way::FEEDBACK, &mut drops);
        match deliveries.pop().or_else(|| drops.no_room.pop()) {
            Some(delivery) => Err(delivery),
            None => Ok(()),
        }
    }

    /// Resolves when something may come this way, or the inbox was closed.
    pub async fn wait_room(&self, way: Way) {
        poll_fn(|cx| self.poll_room(way, cx)).await;
    }

    fn poll_room(&self, way: Way, cx: &mut Context<'_>) -> Poll<()> {
        let mut queue = self.queue.lock();
        if queue.is_closed(way) {
            return Poll::Ready(());
        }
        if queue.is_full(way) {
            register(&mut queue.producers, cx.waker());
            return Poll::Pending;
        }
        if let (true, Some(circle)) = (way.entry && !way.last_call, &queue.circle)
            && circle.poll_room(queue.limits, cx).is_pending()
        {
            // Also told when the inbox closes or leaves the circle.
            register(&mut queue.producers, cx.waker());
            return Poll::Pending;
        }
        let budget = queue.budget.clone().filter(|_| way.source);
        drop(queue);
        budget.map_or(Poll::Ready(()), |budget| budget.poll_room(cx))
    }

    /// Puts back what an instance took and did not finish, ahead of everything else.
    pub fn put_back(&self, batch: &mut Batch) {
        self.pending.store(0, Ordering::Relaxed);
        let mut queue = self.queue.lock();
        queue.put_back(batch);
        let wakes = queue.settle(false);
        drop(queue);
        wakes.wake();
    }

    /// Asks the instance that runs now to stop.
    pub fn request_stop(&self, reason: StopReason) {
        let mut queue = self.queue.lock();
        queue.stop = Some(reason);
        queue.leaving = reason != StopReason::Replaced;
        let producers = std::mem::take(&mut queue.producers);
        let consumer = queue.consumer.take();
        drop(queue);
        producers.into_iter().chain(consumer).for_each(Waker::wake);
    }

    /// Sends a signal, ahead of messages.
    pub fn signal(&self, signal: Signal) {
        let mut queue = self.queue.lock();
        queue.signals.push_back(signal);
        let consumer = queue.consumer.take();
        drop(queue);
        if let Some(waker) = consumer {
            waker.wake();
        }
    }

    /// Forgets a stop request and signals meant for the last instance.
    pub fn reset(&self) {
        let mut queue = self.queue.lock();
        queue.stop = None;
        queue.leaving = false;
        queue.signals.retain(|signal| matches!(signal, Signal::Trigger(_) | Signal::Enable(_)));
    }

    /// Waits for a signal, a stop request or messages, in this order of precedence. Messages are only taken when
    /// `accept` is true; they go into `batch`, unless it still holds some.
    pub fn poll_take(&self, batch: &mut Batch, accept: bool, cx: &mut Context<'_>) -> Poll<Taken> {
        let mut queue = self.queue.lock();
        // What was taken before is finished with.
        let finished = batch.is_empty() && queue.taken.messages > 0;
        if finished {
            queue.taken = Amount::default();
        }
        let had_some = !batch.is_empty();
        let taken = take(&mut queue, batch, accept);
        let emptied = !had_some && matches!(taken, Some(Taken::Messages));
        if taken.is_none() {
            queue.hungry = accept;
            if !queue.consumer.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                queue.consumer = Some(cx.waker().clone());
            }
        }
        if finished || emptied {
            let wakes = queue.settle(emptied);
            drop(queue);
            wakes.wake();
        }
        taken.map_or(Poll::Pending, Poll::Ready)
    }

    /// Takes what is there, stop request or not: for draining a removed node. `batch` is empty.
    pub fn take_messages(&self, batch: &mut Batch) {
        let mut queue = self.queue.lock();
        queue.taken = Amount::default();
        queue.take(batch);
        let wakes = queue.settle(true);
        drop(queue);
        wakes.wake();
    }

    /// Closes the inbox if it is empty; else gives what is in it. Senders then follow the new wiring.
    pub fn close_if_empty(&self) -> Result<(), Batch> {
        let mut queue = self.queue.lock();
        queue.taken = Amount::default();
        let mut batch = Batch::new();
        queue.closed = queue.messages.is_empty();
        queue.take(&mut batch);
        let wakes = queue.settle(true);
        drop(queue);
        wakes.wake();
        if batch.is_empty() { Ok(()) } else { Err(batch) }
    }

    /// Closes the inbox whatever is in it, and gives that.
    pub fn close(&self) -> Batch {
        let mut queue = self.queue.lock();
        queue.closed = true;
        let mut left = Batch::new();
        queue.take(&mut left);
        queue.taken = Amount::default();
        let wakes = queue.settle(true);
        drop(queue);
        wakes.wake();
        left
    }

    /// Gives the inbox its limits, its place in a loop, and the memory it shares with others.
    pub fn configure(&self, limits: Limits, circle: Option<Arc<Circle>>, budget: &Arc<Budget>) {
        let mut queue = self.queue.lock();
        queue.limits = limits;
        let left = queue.join(circle, budget);
        let wakes = queue.settle(true);
        drop(queue);
        left.wake();
        wakes.wake();
    }

    /// The consumer tells how many of the messages it took it has not begun with.
    pub fn set_pending(&self, messages: usize) {
        self.pending.store(messages, Ordering::Relaxed);
    }

    /// What waits in front of the node.
    pub fn amount(&self) -> Amount {
        let Amount { messages, bytes } = self.queue.lock().amount();
        Amount { messages: messages + self.pending.load(Ordering::Relaxed), bytes }
    }

    /// Messages that may come from outside now.
    pub fn room(&self) -> usize {
        let queue = self.queue.lock();
        if queue.is_closed(Way::SOURCE)
            || queue.is_full(Way::SOURCE)
            || queue.budget.as_ref().is_some_and(|budget| budget.sources_wait())
        {
            return 0;
        }
        let circle = queue.circle.as_ref().map_or(usize::MAX, |circle| circle.room(queue.limits));
        circle.min(queue.limits.messages.saturating_sub(queue.messages.len()))
    }

    /// Messages beyond the limits, from wires that close a loop.
    pub fn overflow(&self) -> usize {
        let queue = self.queue.lock();
        queue.messages.len().saturating_sub(queue.limits.messages)
    }

    /// Calls `look` for each message that waits, with the number of its wire and its weight.
    pub fn look(&self, mut look: impl FnMut(u32, usize)) {
        let queue = self.queue.lock();
        queue.messages.iter().for_each(|delivery| look(delivery.wire, delivery.message.weight()));
    }

    /// Waits for a stop request: for a failed node that waits to be started again.
    pub async fn wait_stop(&self) -> StopReason {
        poll_fn(|cx| self.poll_stop(cx)).await
    }

    /// Waits until the instance that runs now is asked to make room for its successor.
    pub async fn wait_replaced(&self) {
        let replaced = |cx: &mut Context<'_>| match self.poll_stop(cx) {
            Poll::Ready(StopReason::Replaced) => Poll::Ready(()),
            _ => Poll::Pending,
        };
        poll_fn(replaced).await;
    }

    fn poll_stop(&self, cx: &mut Context<'_>) -> Poll<StopReason> {
        let mut queue = self.queue.lock();
        queue.hungry = false;
        match queue.stop {
            Some(reason) => Poll::Ready(reason),
            None => {
                queue.consumer = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

fn take(queue: &mut Queue, batch: &mut Batch, accept: bool) -> Option<Taken> {
    if let Some(signal) = queue.signals.pop_front() {
        return Some(Taken::Signal(signal));
    }
    if let Some(reason) = queue.stop {
        return Some(Taken::Stop(reason));
    }
    if accept && !batch.is_empty() {
        // The consumer goes on with what it has; nothing new was taken.
        return Some(Taken::Messages);
    }
    if !accept || queue.messages.is_empty() {
        return None;
    }
    queue.take(batch);
    Some(Taken::Messages)
}
