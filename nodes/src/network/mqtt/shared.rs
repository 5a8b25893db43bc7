//! What the client thread and the rest of the program share: one inbox, woken once per batch.

use super::{Outgoing, Qos, Subscriber, Subscription, acks::Completion, message::PublishOutcome};
use parking_lot::Mutex;
use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
};
use tokio::sync::Notify;

/// Something the client thread is asked to do.
pub(super) enum Command {
    Connect,
    Subscribe {
        id: u64,
        subscription: Subscription,
        subscriber: Arc<dyn Subscriber>,
    },
    Unsubscribe {
        id: u64,
    },
    /// A subscriber that refused messages has room again.
    Resume,
    /// Nothing will be asked for soon.
    Settle,
    Stop,
}

#[derive(Default)]
pub(super) struct Inbox {
    pub(super) outgoing: VecDeque<Outgoing>,
    pub(super) completions: Vec<Completion>,
    pub(super) commands: Vec<Command>,
}

/// Counters of a connection.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) received: AtomicU64,
    pub(super) published: AtomicU64,
    pub(super) dropped_in: AtomicU64,
    pub(super) dropped_out: AtomicU64,
    pub(super) reconnects: AtomicU64,
}

pub(super) struct Shared {
    inbox: Mutex<Inbox>,
    pub(super) wake: Notify,
    signalled: AtomicBool,
    /// Interrupts whatever the connection is waiting for: stop, or drop the network.
    pub(super) interrupt: Notify,
    /// Told when the outgoing queue has room again.
    pub(super) room: Notify,
    pub(super) connected: AtomicBool,
    /// Messages taken over by the client thread that still wait.
    pub(super) waiting: AtomicUsize,
    outgoing_max: usize,
    pub(super) counters: Counters,
}

impl Shared {
    pub(super) fn new(outgoing_max: usize) -> Self {
        Self {
            inbox: Mutex::default(),
            wake: Notify::new(),
            signalled: AtomicBool::new(false),
            interrupt: Notify::new(),
            room: Notify::new(),
            connected: AtomicBool::new(false),
            waiting: AtomicUsize::new(0),
            outgoing_max,
            counters: Counters::default(),
        }
    }

    /// Wakes the client thread, once for all that comes until it looks.
    pub(super) fn signal(&self) {
        if !self.signalled.swap(true, Ordering::AcqRel) {
            self.wake.notify_one();
        }
    }

    pub(super) fn complete(&self, completion: Completion) {
        self.inbox.lock().completions.push(completion);
        self.signal();
    }

    pub(super) fn command(&self, command: Command) {
        self.inbox.lock().commands.push(command);
        self.signal();
    }

    /// Queues messages; returns those that do not fit.
    pub(super) fn publish(&self, batch: Vec<Outgoing>) -> Vec<Outgoing> {
        let mut refused = Vec::new();
        let mut given_up = Vec::new();
        let mut inbox = self.inbox.lock();
        let mut free = self.outgoing_max.saturating_sub(inbox.outgoing.len() + self.waiting.load(Ordering::Relaxed));
        for message in batch {
            if free > 0 {
                free -= 1;
                inbox.outgoing.push_back(message);
            } else if message.qos == Qos::AtMostOnce && !self.connected.load(Ordering::Relaxed) {
                // Nobody waits for an absent broker on behalf of a message that may get lost anyway: the oldest goes.
                match inbox.outgoing.front() {
                    Some(oldest) if oldest.qos == Qos::AtMostOnce => {
                        given_up.extend(inbox.outgoing.pop_front());
                        inbox.outgoing.push_back(message);
                    }
                    _ => given_up.push(message),
                }
            } else {
                refused.push(message);
            }
        }
        drop(inbox);
        self.signal();
        self.counters.dropped_out.fetch_add(given_up.len() as u64, Ordering::Relaxed);
        for message in given_up {
            message.finish(PublishOutcome::Dropped);
        }
        refused
    }

    /// Whether `publish` would take at least one message.
    pub(super) fn has_room(&self) -> bool {
        self.inbox.lock().outgoing.len() + self.waiting.load(Ordering::Relaxed) < self.outgoing_max
    }

    /// Takes what has come into an empty inbox; what comes from now on signals again. Without `outgoing` the messages
    /// for the broker stay where newer ones can push them out.
    pub(super) fn take(&self, empty: &mut Inbox, outgoing: bool) {
        self.signalled.store(false, Ordering::Release);
        let mut inbox = self.inbox.lock();
        std::mem::swap(&mut inbox.commands, &mut empty.commands);
        std::mem::swap(&mut inbox.completions, &mut empty.completions);
        if outgoing {
            std::mem::swap(&mut inbox.outgoing, &mut empty.outgoing);
        }
    }
}
