//! A loop of nodes and how much it holds: who feeds it from outside waits while that is too much.
//!
//! What goes round never waits, so what comes in has to.

use std::task::{Context, Poll, Waker};

use super::budget::register;
use super::sync::Mutex;
use super::{Amount, Limits};

/// See the module. Lock order: an inbox first, then the circle it is in.
#[derive(Default)]
pub struct Circle(Mutex<Held>);

#[derive(Default)]
struct Held {
    amount: Amount,
    waiting: Vec<Waker>,
}

impl Circle {
    /// One of its inboxes holds `now`; it said `before` when it was asked last. Returns who may look again.
    pub fn change(&self, before: Amount, now: Amount) -> Vec<Waker> {
        let mut held = self.0.lock();
        held.amount.messages = (held.amount.messages + now.messages).saturating_sub(before.messages);
        held.amount.bytes = (held.amount.bytes + now.bytes).saturating_sub(before.bytes);
        let less = now.messages < before.messages || now.bytes < before.bytes;
        if less { std::mem::take(&mut held.waiting) } else { Vec::new() }
    }

    /// Messages that may come in now.
    pub fn room(&self, limits: Limits) -> usize {
        room(self.0.lock().amount, limits)
    }

    /// Ready when something may come in.
    pub fn poll_room(&self, limits: Limits, cx: &mut Context<'_>) -> Poll<()> {
        let mut held = self.0.lock();
        if room(held.amount, limits) > 0 {
            return Poll::Ready(());
        }
        register(&mut held.waiting, cx.waker());
        Poll::Pending
    }

    pub fn amount(&self) -> Amount {
        self.0.lock().amount
    }
}

fn room(held: Amount, limits: Limits) -> usize {
    if held.bytes >= limits.bytes { 0 } else { limits.messages.saturating_sub(held.messages) }
}
