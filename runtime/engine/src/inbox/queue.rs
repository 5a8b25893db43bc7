//! What an inbox holds, and the rules by which it takes and gives way. No locks here.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::task::Waker;

use compact_str::CompactString;
use tidewire_node_api::{Batch, Delivery, Signal, StopReason};

use super::budget::{Budget, STEP};
use super::circle::Circle;
use super::policy::{Amount, Limits, Policy, Way};

/// Messages that a push made give way.
#[derive(Debug, Default)]
pub struct Drops {
    /// On purpose, by the wire's policy.
    pub by_policy: Vec<Delivery>,
    /// There was no room, and the sender must not wait.
    pub no_room: Vec<Delivery>,
}

impl Drops {
    pub fn is_empty(&self) -> bool {
        self.by_policy.is_empty() && self.no_room.is_empty()
    }
}

/// See the module.
#[derive(Default)]
pub struct Queue {
    pub messages: Batch,
    /// Weight of `messages`.
    pub bytes: usize,
    /// What the consumer has taken and not finished.
    pub taken: Amount,
    pub signals: VecDeque<Signal>,
    pub stop: Option<StopReason>,
    pub closed: bool,
    /// The node goes for good and works off what it has: nothing comes in from outside any more.
    pub leaving: bool,
    /// The consumer, if it waits, and whether it waits for messages.
    pub consumer: Option<Waker>,
    pub hungry: bool,
    /// Senders that wait for room.
    pub producers: Vec<Waker>,
    pub limits: Limits,
    pub circle: Option<Arc<Circle>>,
    pub budget: Option<Arc<Budget>>,
    /// What `circle` and `budget` were told last.
    told: Amount,
    told_budget: usize,
    /// Places of topics, while a wire keeps the latest of each; `None` when it has to be made anew.
    topics: Option<Box<Topics>>,
}

type Topics = HashMap<(u32, CompactString), usize, foldhash::fast::RandomState>;

/// Those to wake once the lock is free.
#[derive(Default)]
pub struct Wakes {
    consumer: Option<Waker>,
    others: [Vec<Waker>; 3],
}

impl Wakes {
    pub fn wake(self) {
        if let Some(waker) = self.wake_others() {
            waker.wake();
        }
    }

    /// Wakes all but the consumer, and gives that.
    pub fn wake_others(self) -> Option<Waker> {
        self.others.into_iter().flatten().for_each(Waker::wake);
        self.consumer
    }
}

impl Queue {
    pub fn amount(&self) -> Amount {
        Amount { messages: self.messages.len(), bytes: self.bytes }
    }

    /// Nothing will come this way ever again.
    pub fn is_closed(&self, way: Way) -> bool {
        self.closed || way.source && self.leaving
    }

    /// Nothing more can come this way now.
    pub fn is_full(&self, way: Way) -> bool {
        let limits = self.limits_of(way);
        self.messages.len() >= limits.messages || self.bytes >= limits.bytes || self.is_choked(way)
    }

    /// The memory of all inboxes is used up: one that holds something takes no more.
    fn is_choked(&self, way: Way) -> bool {
        !way.feedback
            && !way.last_call
            && !self.messages.is_empty()
            && self.budget.as_ref().is_some_and(|budget| budget.is_used_up())
    }

    fn limits_of(&self, way: Way) -> Limits {
        if way.feedback || way.last_call { self.limits.with_overflow() } else { self.limits }
    }

    /// How many of `deliveries`, from the front, can come this way now, and their weight.
    fn fitting(&self, deliveries: &[Delivery], way: Way) -> Amount {
        let mut fits = Amount::default();
        if self.is_choked(way) {
            return fits;
        }
        let limits = self.limits_of(way);
        let mut places = limits.messages.saturating_sub(self.messages.len());
        if let (true, Some(circle)) = (way.entry && !way.last_call, &self.circle) {
            places = places.min(circle.room(self.limits));
        }
        for delivery in deliveries.iter().take(places) {
            if self.bytes + fits.bytes >= limits.bytes {
                break;
            }
            fits.messages += 1;
            fits.bytes += delivery.message.weight();
        }
        fits
    }

    /// Takes deliveries by the rules of their way. What is left in `deliveries` has to wait.
    pub fn push(&mut self, deliveries: &mut Vec<Delivery>, way: Way, drops: &mut Drops) {
        match way.policy {
            Policy::Latest => self.push_latest(deliveries, way, drops),
            Policy::DropOldest => self.make_room(deliveries, way, &mut drops.by_policy),
            Policy::DropNewest | Policy::Block => {}
        }
        if way.policy != Policy::Latest {
            let fits = self.fitting(deliveries, way);
            self.bytes += fits.bytes;
            self.messages.extend(deliveries.drain(..fits.messages).map(|delivery| on_wire(delivery, way.wire)));
        }
        match way.policy {
            Policy::DropNewest | Policy::DropOldest => drops.by_policy.append(deliveries),
            _ if way.feedback => drops.no_room.append(deliveries),
            _ => {}
        }
    }

    /// Drops the oldest messages of this wire, queued or new, until the rest fits.
    fn make_room(&mut self, deliveries: &mut Vec<Delivery>, way: Way, dropped: &mut Vec<Delivery>) {
        let limits = self.limits_of(way);
        let weight = |delivery: &Delivery| delivery.message.weight();
        let mut messages = self.messages.len() + deliveries.len();
        // The last one may pass the limit of bytes, as anywhere else.
        let mut bytes = self.bytes + deliveries.iter().rev().skip(1).map(weight).sum::<usize>();
        let mut too_much = |next: &Delivery, give_way: bool| {
            let over = give_way && messages > 1 && (messages > limits.messages || bytes >= limits.bytes);
            if over {
                messages -= 1;
                bytes = bytes.saturating_sub(weight(next));
            }
            over
        };
        let before = dropped.len();
        let mut others = Batch::new();
        while let Some(next) = self.messages.front() {
            let own = next.wire == way.wire;
            let over = too_much(next, own);
            if own && !over {
                break;
            }
            let Some(next) = self.messages.pop_front() else { break };
            if own {
                self.bytes -= weight(&next);
                dropped.push(next);
            } else {
                others.push_back(next);
            }
        }
        others.append(&mut self.messages);
        self.messages = others;
        if dropped.len() > before {
            self.topics = None;
        }
        let count = deliveries.iter().take_while(|delivery| too_much(delivery, true)).count();
        dropped.extend(deliveries.drain(..count));
    }

    /// Puts each message in the place of the one with its topic, or at the end.
    fn push_latest(&mut self, deliveries: &mut Vec<Delivery>, way: Way, drops: &mut Drops) {
        let mut topics = self.topics.take().unwrap_or_else(|| Box::new(self.find_topics()));
        deliveries.reverse();
        while let Some(delivery) = deliveries.pop() {
            let key = (way.wire, CompactString::from(delivery.message.topic().unwrap_or("")));
            let weight = delivery.message.weight();
            if let Some(queued) = topics.get(&key).and_then(|place| self.messages.get_mut(*place)) {
                let old = std::mem::replace(queued, on_wire(delivery, way.wire));
                self.bytes = self.bytes + weight - old.message.weight();
                drops.by_policy.push(old);
            } else if self.fitting(std::slice::from_ref(&delivery), way).messages > 0 {
                topics.insert(key, self.messages.len());
                self.bytes += weight;
                self.messages.push_back(on_wire(delivery, way.wire));
            } else {
                // Waits, and all behind it, so that order is kept.
                deliveries.push(delivery);
                break;
            }
        }
        deliveries.reverse();
        self.topics = Some(topics);
    }

    fn find_topics(&self) -> Topics {
        let topic = |delivery: &Delivery| (delivery.wire, delivery.message.topic().unwrap_or("").into());
        self.messages.iter().enumerate().map(|(place, delivery)| (topic(delivery), place)).collect()
    }

    /// The consumer takes everything; `batch` is empty.
    pub fn take(&mut self, batch: &mut Batch) {
        std::mem::swap(&mut self.messages, batch);
        self.taken.messages += batch.len();
        self.taken.bytes += self.bytes;
        self.bytes = 0;
        if let Some(topics) = &mut self.topics {
            topics.clear();
        }
    }

    /// The consumer gives back what it did not finish; it holds nothing any more.
    pub fn put_back(&mut self, batch: &mut Batch) {
        self.taken = Amount::default();
        if batch.is_empty() {
            return;
        }
        self.bytes += batch.iter().map(|delivery| delivery.message.weight()).sum::<usize>();
        batch.append(&mut self.messages);
        std::mem::swap(&mut self.messages, batch);
        self.topics = None;
    }

    /// Tells circle and budget what the inbox holds now, and finds out who is to be woken. `emptied`: room was made.
    pub fn settle(&mut self, emptied: bool) -> Wakes {
        let mut wakes = Wakes::default();
        let held = Amount { messages: self.messages.len() + self.taken.messages, bytes: self.bytes + self.taken.bytes };
        if held != self.told {
            let [_, circle, budget] = &mut wakes.others;
            if let Some(own) = &self.circle {
                *circle = own.change(self.told, held);
            }
            if let Some(shared) = &self.budget
                && (held.bytes.abs_diff(self.told_budget) >= STEP || held.bytes == 0 && self.told_budget > 0)
            {
                *budget = shared.change(self.told_budget, held.bytes);
                self.told_budget = held.bytes;
            }
            self.told = held;
        }
        if self.hungry && !self.messages.is_empty() {
            wakes.consumer = self.consumer.take();
        }
        if emptied && !self.producers.is_empty() {
            wakes.others[0] = std::mem::take(&mut self.producers);
        }
        wakes
    }

    /// Becomes part of another circle, and of a budget.
    pub fn join(&mut self, circle: Option<Arc<Circle>>, budget: &Arc<Budget>) -> Wakes {
        let mut wakes = Wakes::default();
        let same = match (&self.circle, &circle) {
            (Some(old), Some(new)) => Arc::ptr_eq(old, new),
            (None, None) => true,
            _ => false,
        };
        if !same {
            if let Some(old) = &self.circle {
                wakes.others[0] = old.change(self.told, Amount::default());
            }
            if let Some(new) = &circle {
                new.change(Amount::default(), self.told);
            }
            self.circle = circle;
        }
        if self.budget.is_none() {
            self.budget = Some(budget.clone());
            budget.change(0, self.told_budget);
        }
        wakes
    }
}

fn on_wire(mut delivery: Delivery, wire: u32) -> Delivery {
    delivery.wire = wire;
    delivery
}

impl Drop for Queue {
    fn drop(&mut self) {
        let nothing = Amount::default();
        if let Some(circle) = &self.circle {
            circle.change(self.told, nothing).into_iter().for_each(Waker::wake);
        }
        if let Some(budget) = &self.budget {
            budget.change(self.told_budget, 0).into_iter().for_each(Waker::wake);
        }
    }
}
