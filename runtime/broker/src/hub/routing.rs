//! The way of a message: what is retained, who gets it, and what it waits for.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bytestring::ByteString;
use smallvec::SmallVec;
use tidewire_node_api::broker::{LinkNotice, Qos};

use super::Hub;
use crate::message::Message;
use crate::outbox::{Counted, Delivery, Tags};
use crate::outlet::Put;
use crate::session::Seat;
use crate::tree::{self, Match, SessionKey};
use crate::window::Slot;

/// The last message of each topic that asked for it.
#[derive(Debug, Default)]
pub(crate) struct Retained {
    messages: HashMap<ByteString, (u64, Arc<Message>)>,
    last: u64,
}

impl Retained {
    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }

    pub(crate) fn restore(&mut self, number: u64, message: Message) {
        self.last = self.last.max(number);
        self.messages.insert(message.topic.clone(), (number, Arc::new(message)));
    }

    /// What matches a filter. Few filters have wildcards, and few topics are retained: looking at all is good enough.
    fn matching(&self, path: &str) -> Vec<Arc<Message>> {
        let usable = |message: &Arc<Message>| (!message.is_expired()).then(|| Arc::clone(message));
        if !path.contains(['+', '#']) {
            return self.messages.get(path).and_then(|(_, message)| usable(message)).into_iter().collect();
        }
        let matching = self.messages.iter().filter(|(topic, _)| tree::matches(path, topic));
        matching.filter_map(|(_, (_, message))| usable(message)).collect()
    }
}

/// One receiver of a message.
struct Target {
    key: SessionKey,
    qos: Qos,
    /// The retain flag that it sees.
    retain: bool,
    tags: Tags,
    /// It is to be kept for a durable session.
    store: bool,
}

impl Target {
    fn new((key, options): Match, message: &Message) -> Self {
        let retain = options.retain_as_published && message.retain;
        let tags = options.tag.into_iter().collect();
        Target { key, qos: options.qos().min(message.qos()), retain, tags, store: true }
    }
}

impl Hub {
    /// Whether a topic may be retained, as far as numbers go.
    pub(crate) fn may_retain(&self, topic: &str) -> bool {
        self.retained.len() < self.limits.retained_max || self.retained.messages.contains_key(topic)
    }

    /// Routes a message. `slot` waits for what has to be done before whoever sent it gets an answer; with `follow` that
    /// includes the work of links.
    pub(crate) fn publish(
        &mut self,
        message: &Arc<Message>,
        from: Option<SessionKey>,
        slot: Option<&Rc<Slot>>,
        follow: bool,
    ) {
        if message.retain {
            self.retain(message, slot);
        }
        let mut matches = self.tree.matches(&message.topic);
        let heard = |(key, options): &Match| !(options.no_local && from == Some(*key));
        matches.plain.retain(|entry| heard(entry));
        for target in targets(&mut matches.plain, message) {
            self.deliver(target, message, slot, follow);
        }
        for members in matches.shared {
            if let Some(entry) = self.choose(&members) {
                self.deliver(Target::new(entry, message), message, slot, follow);
            }
        }
    }

    /// The member of a shared subscription whose turn it is: one that is there, else one that will come back.
    fn choose(&self, members: &[Match]) -> Option<Match> {
        let session = |entry: &&Match| self.sessions.get(&entry.0);
        let here = members.iter().find(|entry| session(entry).is_some_and(|session| session.seat.is_some()));
        here.or_else(|| members.first()).copied()
    }

    fn retain(&mut self, message: &Arc<Message>, slot: Option<&Rc<Slot>>) {
        if message.payload.is_empty() {
            if let Some((number, _)) = self.retained.messages.remove(&message.topic) {
                self.store.remove_retained(number, slot.cloned());
            }
            return;
        }
        if !self.may_retain(&message.topic) {
            return;
        }
        let number = match self.retained.messages.get(&message.topic) {
            Some((number, _)) => *number,
            None => {
                self.retained.last += 1;
                self.retained.last
            }
        };
        self.store.put_retained(number, message, slot.cloned());
        self.retained.messages.insert(message.topic.clone(), (number, Arc::clone(message)));
    }

    /// Sends a new subscriber what is retained.
    pub(crate) fn send_retained(&mut self, key: SessionKey, path: &str, qos: Qos, tag: Option<u32>) {
        for message in self.retained.matching(path) {
            let tags = tag.into_iter().collect();
            let target = Target { key, qos: qos.min(message.qos()), retain: true, tags, store: false };
            self.deliver(target, &message, None, false);
        }
    }

    fn deliver(&mut self, target: Target, message: &Arc<Message>, slot: Option<&Rc<Slot>>, follow: bool) {
        let Some(session) = self.sessions.get_mut(&target.key) else { return };
        if target.qos == Qos::AtMostOnce {
            return self.deliver_quick(&target, message);
        }
        if session.seat.is_none() && !session.is_durable() && !session.held {
            return;
        }
        let mut delivery = Delivery {
            seq: self.next_seq,
            message: Arc::clone(message),
            qos: target.qos,
            retain: target.retain,
            tags: target.tags,
            packet_id: 0,
            duplicate: false,
            released: false,
            stored: false,
            kept: false,
            counted: Counted::Not,
            waiting: None,
        };
        self.next_seq += 1;
        let awaited = session.is_awaited();
        if !awaited && session.is_durable() && target.store && self.store.keeps() {
            self.store.put_delivery(target.key, &delivery, slot.cloned());
            (delivery.stored, delivery.kept) = (true, true);
        }
        if awaited {
            if let Some(slot) = slot.filter(|_| follow) {
                slot.follow();
                delivery.waiting = Some(Rc::clone(slot));
            }
            self.count(&mut delivery, if follow { Counted::OfDevice } else { Counted::OfLink });
        }
        let Some(session) = self.sessions.get_mut(&target.key) else { return };
        session.outbox.push(delivery);
        if !awaited {
            let ended = session.outbox.shorten(self.limits.queued_max, self.limits.queued_bytes_max);
            self.counters.dropped.fetch_add(ended.len() as u64, Relaxed);
            for delivery in ended {
                self.end_delivery(target.key, delivery, false);
            }
        }
        self.pump(target.key);
    }

    fn deliver_quick(&mut self, target: &Target, message: &Arc<Message>) {
        let Some(session) = self.sessions.get(&target.key) else { return };
        match &session.seat {
            Some(Seat::Socket(outlet)) => match outlet.quick(message, target.retain, &target.tags) {
                Put::Written => self.counters.count_sent(message.payload.len()),
                Put::Displaced => drop(self.counters.dropped.fetch_add(1, Relaxed)),
                Put::Waits | Put::TooLarge => {}
            },
            Some(Seat::Link(link)) => {
                let publication = message.to_publication(Qos::AtMostOnce, target.retain, &target.tags);
                let displaced =
                    link.push(LinkNotice::Message { id: None, publication, sender: None, duplicate: false });
                self.counters.dropped.fetch_add(u64::from(displaced), Relaxed);
                self.counters.count_sent(message.payload.len());
                self.told.push(Arc::clone(link));
            }
            None => {}
        }
    }

    /// Sends a session what it may get now.
    pub(crate) fn pump(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let counters = &self.counters;
        let ended = match &session.seat {
            None => return,
            Some(Seat::Socket(outlet)) => session.outbox.pump(outlet, |delivery| {
                counters.count_sent(delivery.message.payload.len());
                // An exactly-once message must keep its id over a crash of the broker.
                if delivery.stored && delivery.qos == Qos::ExactlyOnce && !delivery.duplicate {
                    self.store.put_delivery(key, delivery, None);
                }
            }),
            Some(Seat::Link(link)) => {
                self.told.push(Arc::clone(link));
                session.outbox.pump_link(link, |delivery| counters.count_sent(delivery.message.payload.len()))
            }
        };
        for delivery in ended {
            self.end_delivery(key, delivery, false);
        }
    }

    /// A connection has written what it had, if its outlet is empty: what waits for room may follow.
    pub(crate) fn has_room(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.get(&key) else { return };
        let Some(outlet) = session.outlet().cloned() else { return };
        if outlet.bytes.borrow().is_empty() {
            session.device.set_answered(outlet.answered.get());
        }
        for bytes in outlet.refill() {
            self.counters.count_sent(bytes);
        }
        if self.sessions.get(&key).is_some_and(|session| session.outbox.has_waiting()) {
            self.pump(key);
            self.settle();
        }
    }
}

/// One target per session, with the most that its subscriptions give.
fn targets(plain: &mut SmallVec<[Match; 8]>, message: &Message) -> SmallVec<[Target; 8]> {
    plain.sort_by_key(|(key, _)| *key);
    let mut targets = SmallVec::<[Target; 8]>::new();
    for entry in plain.drain(..) {
        let next = Target::new(entry, message);
        match targets.last_mut().filter(|last| last.key == next.key) {
            Some(last) => {
                last.qos = last.qos.max(next.qos);
                last.retain |= next.retain;
                last.tags.extend(next.tags);
            }
            None => targets.push(next),
        }
    }
    targets
}
