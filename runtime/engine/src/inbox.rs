//! The inbox of a slot: a bounded queue that outlives the instances of its node.
//!
//! The batch is its unit: producers push many deliveries under one lock, the consumer swaps the whole queue out.
//! It knows nothing of wires or nodes.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use tidewire_node_api::{Batch, Delivery, Feed, Signal, StopReason};
use tokio::sync::Notify;

/// Messages an inbox holds before senders wait. Large enough that a burst from one MQTT window fits.
pub const CAPACITY: usize = 1_024;

/// Messages that may pile up on wires that close a loop, where senders never wait.
pub const FEEDBACK_CAPACITY: usize = 10_000;

/// What became of a push.
#[derive(Debug, PartialEq, Eq)]
pub enum Pushed {
    All,
    /// No room; nothing was taken.
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

#[derive(Default)]
struct Queue {
    messages: Batch,
    signals: VecDeque<Signal>,
    stop: Option<StopReason>,
    closed: bool,
}

/// See the module.
pub struct Inbox {
    queue: Mutex<Queue>,
    consumer: AtomicWaker,
    room: Notify,
    /// Producers waiting for room; `room` is touched only when there are any.
    waiting: AtomicUsize,
    /// Length of the queue, for observers.
    length: AtomicUsize,
}

impl Default for Inbox {
    fn default() -> Self {
        Inbox {
            queue: Mutex::default(),
            consumer: AtomicWaker::new(),
            room: Notify::new(),
            waiting: AtomicUsize::new(0),
            length: AtomicUsize::new(0),
        }
    }
}

impl Inbox {
    /// Takes all deliveries if there is any room at all (so the limit may be passed by one batch), or none.
    pub fn push(&self, deliveries: &mut Vec<Delivery>, capacity: usize) -> Pushed {
        let mut queue = self.queue.lock();
        if queue.closed {
            return Pushed::Closed;
        }
        if queue.messages.len() >= capacity {
            return Pushed::Full;
        }
        let was_empty = queue.messages.is_empty();
        queue.messages.extend(deliveries.drain(..));
        self.length.store(queue.messages.len(), Ordering::Relaxed);
        drop(queue);
        if was_empty {
            self.consumer.wake();
        }
        Pushed::All
    }

    /// Resolves when there may be room, or the inbox was closed.
    pub async fn wait_room(&self) {
        self.waiting.fetch_add(1, Ordering::SeqCst);
        let _guard = Waiting(&self.waiting);
        let notified = self.room.notified();
        tokio::pin!(notified);
        notified.as_mut().enable();
        {
            let queue = self.queue.lock();
            if queue.closed || queue.messages.len() < CAPACITY {
                return;
            }
        }
        notified.await;
    }

    /// Puts back what an instance took and did not finish, ahead of everything else.
    pub fn put_back(&self, batch: &mut Batch) {
        if batch.is_empty() {
            return;
        }
        let mut queue = self.queue.lock();
        batch.append(&mut queue.messages);
        std::mem::swap(&mut queue.messages, batch);
        self.length.store(queue.messages.len(), Ordering::Relaxed);
        drop(queue);
        self.consumer.wake();
    }

    /// Asks the instance that runs now to stop.
    pub fn request_stop(&self, reason: StopReason) {
        self.queue.lock().stop = Some(reason);
        self.consumer.wake();
    }

    /// Forgets a stop request and signals meant for the last instance.
    pub fn reset(&self) {
        let mut queue = self.queue.lock();
        queue.stop = None;
        queue.signals.retain(|signal| matches!(signal, Signal::Trigger(_) | Signal::Enable(_)));
    }

    /// Waits for a signal, a stop request or messages, in this order of precedence. Messages are only taken when
    /// `accept` is true; they go into `batch`, unless it still holds some.
    pub fn poll_take(&self, batch: &mut Batch, accept: bool, cx: &mut Context<'_>) -> Poll<Taken> {
        if let Some(taken) = self.try_take(batch, accept) {
            return Poll::Ready(taken);
        }
        self.consumer.register(cx.waker());
        // Once more: something may have come before the waker was in place.
        self.try_take(batch, accept).map_or(Poll::Pending, Poll::Ready)
    }

    fn try_take(&self, batch: &mut Batch, accept: bool) -> Option<Taken> {
        let mut queue = self.queue.lock();
        if let Some(signal) = queue.signals.pop_front() {
            return Some(Taken::Signal(signal));
        }
        if let Some(reason) = queue.stop {
            return Some(Taken::Stop(reason));
        }
        if accept && !batch.is_empty() {
            return Some(Taken::Messages);
        }
        if !accept || queue.messages.is_empty() {
            return None;
        }
        std::mem::swap(&mut queue.messages, batch);
        self.length.store(0, Ordering::Relaxed);
        drop(queue);
        self.free();
        Some(Taken::Messages)
    }

    /// Takes what is there, stop request or not: for draining a removed node.
    pub fn take_messages(&self, batch: &mut Batch) {
        let mut queue = self.queue.lock();
        batch.append(&mut queue.messages);
        self.length.store(0, Ordering::Relaxed);
        drop(queue);
        self.free();
    }

    /// Closes the inbox if it is empty; else gives what is in it. Senders then follow the new wiring.
    pub fn close_if_empty(&self) -> Result<(), Batch> {
        let mut queue = self.queue.lock();
        if !queue.messages.is_empty() {
            self.length.store(0, Ordering::Relaxed);
            return Err(std::mem::take(&mut queue.messages));
        }
        queue.closed = true;
        drop(queue);
        self.room.notify_waiters();
        Ok(())
    }

    /// Closes the inbox whatever is in it, and gives that.
    pub fn close(&self) -> Batch {
        let mut queue = self.queue.lock();
        queue.closed = true;
        self.length.store(0, Ordering::Relaxed);
        let left = std::mem::take(&mut queue.messages);
        drop(queue);
        self.room.notify_waiters();
        left
    }

    fn free(&self) {
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.room.notify_waiters();
        }
    }

    /// Number of messages waiting.
    pub fn len(&self) -> usize {
        self.length.load(Ordering::Relaxed)
    }

    /// Waits until there is something to take; for tests and for a failed node that waits to be started again.
    pub async fn wait_stop(&self) -> StopReason {
        poll_fn(|cx| {
            let stop = self.queue.lock().stop;
            if let Some(reason) = stop {
                return Poll::Ready(reason);
            }
            self.consumer.register(cx.waker());
            self.queue.lock().stop.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}

struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// The feed that connections of a node hold.
pub struct InboxFeed(pub Arc<Inbox>);

impl Feed for InboxFeed {
    fn feed(&self, deliveries: &mut Batch) -> usize {
        let mut queue = self.0.queue.lock();
        if queue.closed {
            return 0;
        }
        let count = CAPACITY.saturating_sub(queue.messages.len()).min(deliveries.len());
        if count == 0 {
            return 0;
        }
        let was_empty = queue.messages.is_empty();
        queue.messages.extend(deliveries.drain(..count));
        self.0.length.store(queue.messages.len(), Ordering::Relaxed);
        drop(queue);
        if was_empty {
            self.0.consumer.wake();
        }
        count
    }

    fn room(&self) -> usize {
        CAPACITY.saturating_sub(self.0.len())
    }

    fn wait_room(&self) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let inbox = self.0.clone();
        Box::pin(async move { inbox.wait_room().await })
    }

    fn signal(&self, signal: Signal) {
        self.0.queue.lock().signals.push_back(signal);
        self.0.consumer.wake();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tidewire_model::Message;

    fn deliveries(ids: std::ops::Range<u64>) -> Vec<Delivery> {
        ids.map(|id| Delivery::new(Message::with_payload(id, 0), None)).collect()
    }

    async fn take(inbox: &Inbox) -> Vec<u64> {
        let mut batch = Batch::new();
        poll_fn(|cx| inbox.poll_take(&mut batch, true, cx)).await;
        batch.iter().map(|delivery| delivery.message.id()).collect()
    }

    #[tokio::test]
    async fn what_is_put_back_comes_first() {
        let inbox = Inbox::default();
        inbox.push(&mut deliveries(3..5), CAPACITY);
        inbox.put_back(&mut deliveries(1..3).into());
        assert_eq!(take(&inbox).await, [1, 2, 3, 4]);
    }

    #[tokio::test]
    async fn a_waiting_producer_goes_on_when_the_queue_is_taken() {
        let inbox = Arc::new(Inbox::default());
        inbox.push(&mut deliveries(0..CAPACITY as u64), CAPACITY);
        let mut more = deliveries(5_000..5_001);
        assert_eq!(inbox.push(&mut more, CAPACITY), Pushed::Full);
        let producer = tokio::spawn({
            let inbox = inbox.clone();
            async move {
                while inbox.push(&mut more, CAPACITY) == Pushed::Full {
                    inbox.wait_room().await;
                }
            }
        });
        tokio::task::yield_now().await;
        assert_eq!(take(&inbox).await.len(), CAPACITY);
        producer.await.unwrap();
        assert_eq!(take(&inbox).await, [5_000]);
    }

    #[test]
    fn a_closed_inbox_takes_nothing_and_an_inbox_with_messages_does_not_close() {
        let inbox = Inbox::default();
        inbox.push(&mut deliveries(0..2), CAPACITY);
        assert_eq!(inbox.close_if_empty().unwrap_err().len(), 2);
        assert!(inbox.close_if_empty().is_ok());
        let mut late = deliveries(2..3);
        assert_eq!(inbox.push(&mut late, CAPACITY), Pushed::Closed);
        assert_eq!(late.len(), 1);
    }
}
