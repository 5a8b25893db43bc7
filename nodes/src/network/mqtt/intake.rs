//! Incoming messages: to whom each goes, what waits for slow subscribers, and what nobody has asked for yet.

use super::{
    Ack, AckOutcome, Incoming, Qos,
    acks::Completion,
    core::Core,
    link::{Received, Sender},
    registry::{Seat, Takers},
    shared::Shared,
};
use bytestring::ByteString;
use futures_util::FutureExt;
use std::{
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};
use tidewire_node_api::handles::{BoxFuture, Durable, HandleError};

/// Messages offered to a subscriber at once when it has fallen behind.
const OFFER_MAX: usize = 256;
/// How long a message of QoS 1 or 2 that nobody subscribes to waits for a subscriber, when the broker would not send it
/// again: a deploy replaces nodes one after the other.
const UNCLAIMED_MAX: Duration = Duration::from_secs(5);
/// How many of those are kept.
const UNCLAIMED_COUNT_MAX: usize = 1_024;

/// Messages on their way through the ledger.
#[derive(Default)]
pub(super) enum Entering {
    #[default]
    None,
    /// The log did not take the entries at once; somebody has to wait for it.
    Started(Writing, Vec<Received>),
    /// Somebody does.
    Waiting,
}

pub(super) type Writing = BoxFuture<Result<Durable, HandleError>>;

impl<S: Sender> Core<S> {
    /// Takes messages that have come into the ledger, all at once; they go on when the log has its entries.
    pub(super) fn enter_staged(&mut self) {
        let Some(ledger) = &mut self.ledger else { return };
        while matches!(self.entering, Entering::None) && !self.staged.is_empty() {
            let mut batch = std::mem::take(&mut self.staged);
            for received in &mut batch {
                received.identity = Some(ledger.identify(received));
            }
            let mut writing = ledger.write();
            match (&mut writing).now_or_never() {
                Some(written) => return self.entered(batch, &written),
                None => self.entering = Entering::Started(writing, batch),
            }
        }
    }

    /// The log has the entries of these messages in its queue, or does not take them.
    pub(super) fn entered(&mut self, batch: Vec<Received>, written: &Result<Durable, HandleError>) {
        if let Err(error) = written {
            tracing::warn!(%error, "messages could not be noted, and will not be recognised when they come again");
        }
        for received in batch {
            self.on_message(received);
        }
    }

    pub(super) fn on_message(&mut self, received: Received) {
        self.shared.counters.received.fetch_add(1, Relaxed);
        let ids = received.properties.as_ref().map_or(&[][..], |properties| &properties.subscription_ids);
        let topic = ByteString::try_from(received.topic.clone()).unwrap_or_default();
        let takers = self.registry.takers(&topic, received.retain, ids);
        let index = (received.qos != Qos::AtMostOnce).then(|| {
            let exactly_once = received.qos == Qos::ExactlyOnce;
            let delivery = received.local.as_ref().map_or(0, |local| local.delivery);
            let takers = u32::try_from(takers.len().max(1)).unwrap_or(1);
            self.window.push_delivery(received.packet_id, exactly_once, takers, delivery)
        });
        match index {
            Some(index) if takers.is_empty() => self.keep_unclaimed(received, index),
            _ => self.seat(received, topic, &takers, index),
        }
    }

    /// Puts a message before those who take it.
    fn seat(&mut self, received: Received, topic: ByteString, takers: &Takers, index: Option<u64>) {
        let Some((last, others)) = takers.split_last() else { return };
        let ack = || index.map(|index| Ack::new(Arc::clone(&self.shared), self.window.epoch(), index));
        let backlog_max = self.settings.backlog_max;
        for number in others {
            let copy = Incoming {
                topic: topic.clone(),
                payload: received.payload.clone(),
                qos: received.qos,
                retain: received.retain,
                duplicate: received.duplicate,
                identity: received.identity.clone(),
                properties: received.properties.clone(),
                ack: ack(),
            };
            if let Some(seat) = self.registry.seat_mut(*number) {
                put(seat, copy, backlog_max, &self.shared);
            }
        }
        let message = Incoming {
            topic,
            payload: received.payload,
            qos: received.qos,
            retain: received.retain,
            duplicate: received.duplicate,
            identity: received.identity,
            properties: received.properties,
            ack: ack(),
        };
        if let Some(seat) = self.registry.seat_mut(*last) {
            put(seat, message, backlog_max, &self.shared);
        }
    }

    fn keep_unclaimed(&mut self, received: Received, index: u64) {
        if self.redelivers() && self.unclaimed.len() < UNCLAIMED_COUNT_MAX {
            self.unclaimed.push_back((Instant::now(), received, index));
        } else {
            self.give_up(index);
        }
    }

    /// Nobody wants the message: it counts as dropped on purpose.
    fn give_up(&mut self, index: u64) {
        self.on_completion(Completion { epoch: self.window.epoch(), index, outcome: AckOutcome::Dropped });
    }

    /// Looks again for takers of messages that had none, and gives up on old ones.
    pub(super) fn review_unclaimed(&mut self) {
        for _ in 0..self.unclaimed.len() {
            let Some((since, received, index)) = self.unclaimed.pop_front() else { return };
            let topic = ByteString::try_from(received.topic.clone()).unwrap_or_default();
            let takers = self.registry.takers(&topic, received.retain, &[]);
            if !takers.is_empty() {
                self.window.expect(index, u32::try_from(takers.len()).unwrap_or(1));
                self.seat(received, topic, &takers, Some(index));
            } else if since.elapsed() >= UNCLAIMED_MAX {
                self.give_up(index);
            } else {
                self.unclaimed.push_back((since, received, index));
            }
        }
    }

    /// Offers each subscriber what it has not taken yet.
    pub(super) fn deliver(&mut self) {
        for seat in self.registry.seats_mut() {
            if seat.fresh.is_empty() && seat.backlog.is_empty() {
                continue;
            }
            if !seat.backlog.is_empty() {
                let room = OFFER_MAX.min(seat.backlog.len());
                let newer = std::mem::take(&mut seat.fresh);
                seat.backlog.extend(newer);
                seat.fresh.extend(seat.backlog.drain(..room));
            }
            while !seat.fresh.is_empty() {
                seat.subscriber.deliver(&mut seat.fresh);
                if !seat.fresh.is_empty() {
                    break;
                }
                let more = OFFER_MAX.min(seat.backlog.len());
                seat.fresh.extend(seat.backlog.drain(..more));
            }
            for message in seat.fresh.drain(..).rev() {
                seat.backlog.push_front(message);
            }
        }
    }
}

/// Gives a message to a subscriber; one that has fallen behind loses its oldest messages of QoS 0.
fn put(seat: &mut Seat, message: Incoming, backlog_max: usize, shared: &Shared) {
    if seat.backlog.is_empty() {
        seat.fresh.push(message);
        return;
    }
    if message.ack.is_none() && seat.backlog.len() >= backlog_max {
        shared.counters.dropped_in.fetch_add(1, Relaxed);
        match seat.backlog.iter().position(|old| old.ack.is_none()) {
            Some(oldest) => drop(seat.backlog.remove(oldest)),
            None => return,
        }
    }
    seat.backlog.push_back(message);
}
