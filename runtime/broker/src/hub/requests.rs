//! What clients ask for once they are in: publish, answer, subscribe, unsubscribe.

use std::rc::Rc;
use std::sync::Arc;

use tidewire_node_api::broker::{Qos, Sender};

use super::Hub;
use crate::message::Message;
use crate::packet::{Publish, Wanted};
use crate::session::Session;
use crate::store::Waiting;
use crate::topics::Filter;
use crate::tree::{Options, SessionKey};
use crate::window::{Again, Slot};
use crate::wire::{Fault, reason};

/// Whether a message that has arrived can be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Take,
    /// Not now; the outlet's `wake` tells when to look again.
    Hold,
    Refuse(Fault),
}

impl Hub {
    /// Whether a message of this guarantee is taken from a client now.
    pub(crate) fn may_take(&mut self, key: SessionKey, qos: u8, version_5: bool) -> Answer {
        let inflight_max = usize::from(self.limits.inflight_max);
        let Some(session) = self.sessions.get(&key) else { return Answer::Hold };
        let open = if qos == 0 { self.open } else { self.is_taking() };
        let full = qos > 0 && session.window.len() + session.received.held() >= inflight_max;
        if full && version_5 {
            return Answer::Refuse(Fault(reason::RECEIVE_MAXIMUM));
        }
        if open && !full {
            return Answer::Take;
        }
        if let Some(outlet) = session.outlet().filter(|_| !open) {
            self.held.push(outlet.clone());
        }
        Answer::Hold
    }

    /// A client published something.
    pub(crate) fn received(&mut self, key: SessionKey, publish: Publish, version_5: bool) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        self.counters.count_received(publish.payload.len());
        let (qos, packet_id, duplicate) = (publish.qos, publish.packet_id, publish.duplicate);
        if qos != Qos::AtMostOnce && !duplicate {
            session.received.go_on(&session.window);
        }
        let sender = (qos != Qos::AtMostOnce).then(|| {
            session.published += 1;
            Sender { device: Arc::clone(&session.device), packet_id, duplicate, number: session.published }
        });
        let message = Arc::new(Message::from_publish(publish, sender));
        let allowed = self.authenticator.may_publish(&session.client_id, session.user.as_deref(), &message.topic);
        if qos == Qos::AtMostOnce {
            if allowed {
                self.publish(&message, Some(key), None, true);
            }
            return;
        }
        if (qos == Qos::ExactlyOnce && had(session, packet_id)) || resumed(session, packet_id, duplicate, &message) {
            self.touched.push(key);
            return;
        }
        let slot = Slot::new(Arc::clone(&message), packet_id, key);
        slot.expect();
        session.window.push(Rc::clone(&slot));
        let over = message.retain && version_5 && !message.payload.is_empty() && !self.may_retain(&message.topic);
        if !allowed || over {
            slot.reason.set(if allowed { reason::QUOTA } else { reason::NOT_AUTHORIZED });
        } else {
            if slot.exactly_once
                && let Some(session) = self.sessions.get_mut(&key)
            {
                session.received.begin(packet_id);
            }
            self.publish(&message, Some(key), Some(&slot), true);
            if !slot.is_followed() {
                // Behind what is stored of the message itself: both are there after a crash, or it comes again.
                self.note(&slot);
            }
        }
        self.end_slot(&slot, false);
    }

    /// Has an exactly-once message noted, for the case that the client sends it again to another process. Not before
    /// the links are done with it: what is noted is never given to them again. Says whether the answer has to wait.
    pub(super) fn note(&mut self, slot: &Rc<Slot>) -> bool {
        if !slot.exactly_once || slot.is_lost() || !self.store.keeps() {
            return false;
        }
        let key = slot.session;
        let Some(session) = self.sessions.get_mut(&key).filter(|session| session.is_durable()) else { return false };
        let wanted = session.received.note(slot.packet_id);
        if wanted {
            self.store.put_received(key, session.received.noted(), Waiting::Answer(Rc::clone(slot)));
        }
        wanted
    }

    /// A client will not send an exactly-once message again. It is not told so before the record says it too: it may use
    /// the id for another message then.
    pub(crate) fn released(&mut self, key: SessionKey, packet_id: u16) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let (known, noted) = session.received.release(packet_id);
        if noted && self.store.keeps() {
            let generation = session.generation;
            let waiting = Waiting::Release { session: key, generation, packet_id };
            return self.store.put_received(key, session.received.noted(), waiting);
        }
        let reason = if known { reason::SUCCESS } else { reason::NO_PACKET_ID };
        if let Some(outlet) = session.outlet() {
            outlet.answer(0x70, packet_id, reason);
        }
    }

    /// The record says that a client has released an id, or could not be written.
    pub(super) fn release_stored(&self, key: SessionKey, generation: u64, packet_id: u16, lost: bool) {
        let session = self.sessions.get(&key).filter(|session| session.generation == generation);
        let Some(outlet) = session.and_then(Session::outlet) else { return };
        if lost {
            outlet.end(reason::UNSPECIFIED);
        } else {
            outlet.answer(0x70, packet_id, reason::SUCCESS);
        }
    }

    /// A client has a message of QoS 1.
    pub(crate) fn acknowledged(&mut self, key: SessionKey, packet_id: u16) {
        self.answered(key, packet_id, |session| session.outbox.qos_of(packet_id) == Some(Qos::AtLeastOnce), false);
    }

    /// A client has forgotten the id of a message of QoS 2.
    pub(crate) fn completed(&mut self, key: SessionKey, packet_id: u16) {
        self.answered(key, packet_id, |_| true, true);
    }

    fn answered(&mut self, key: SessionKey, packet_id: u16, fits: impl Fn(&Session) -> bool, completed: bool) {
        let Some(session) = self.sessions.get_mut(&key).filter(|session| fits(session)) else { return };
        if let Some(delivery) = session.outbox.answered(packet_id, completed) {
            self.end_delivery(key, delivery, false);
            self.pump(key);
        }
    }

    /// A client has a message of QoS 2, or refused it.
    pub(crate) fn has_received(&mut self, key: SessionKey, packet_id: u16, reason: u8) {
        if reason >= reason::UNSPECIFIED {
            self.answered(key, packet_id, |session| session.outbox.qos_of(packet_id).is_some(), false);
            return;
        }
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let outlet = session.outlet().cloned();
        let known = session.outbox.received(packet_id);
        if let Some(outlet) = outlet {
            let reason = if known.is_some() { reason::SUCCESS } else { reason::NO_PACKET_ID };
            outlet.answer(0x62, packet_id, reason);
        }
        if let Some(delivery) = known.filter(|delivery| delivery.stored) {
            self.store.put_delivery(key, delivery, None);
        }
    }

    /// Subscribes a client; returns the code for each line. What is retained follows with [`Hub::bring_retained`].
    pub(crate) fn subscribe(&mut self, key: SessionKey, tag: Option<u32>, wanted: &[Wanted]) -> Vec<(u8, bool)> {
        let codes = wanted.iter().map(|wanted| self.subscribe_one(key, tag, wanted)).collect();
        if let Some(session) = self.sessions.get(&key).filter(|session| session.is_durable()) {
            self.store.put_session(key, &session.record());
        }
        codes
    }

    /// The code, and whether retained messages are to follow.
    fn subscribe_one(&mut self, key: SessionKey, tag: Option<u32>, wanted: &Wanted) -> (u8, bool) {
        let Some(session) = self.sessions.get_mut(&key) else { return (reason::UNSPECIFIED, false) };
        let Some(filter) = Filter::parse(&wanted.filter) else { return (reason::FILTER_INVALID, false) };
        if !self.authenticator.may_subscribe(&session.client_id, session.user.as_deref(), &wanted.filter) {
            return (reason::NOT_AUTHORIZED, false);
        }
        let new = !session.subscriptions.contains_key(&wanted.filter);
        if new && session.subscriptions.len() >= self.limits.subscriptions_max {
            return (reason::QUOTA, false);
        }
        let options = Options::new(wanted.qos, wanted.no_local, wanted.retain_as_published, tag);
        session.subscriptions.insert(wanted.filter.clone(), options);
        self.tree.add(filter, key, options);
        let brings = wanted.retain_handling == 0 || (wanted.retain_handling == 1 && new);
        (wanted.qos.as_u8(), brings && filter.group.is_none())
    }

    /// Sends what is retained for those lines of a subscription that want it.
    pub(crate) fn bring_retained(
        &mut self,
        key: SessionKey,
        tag: Option<u32>,
        wanted: &[Wanted],
        answers: &[(u8, bool)],
    ) {
        for (wanted, _) in wanted.iter().zip(answers).filter(|(_, (_, brings))| *brings) {
            self.send_retained(key, &wanted.filter, wanted.qos, tag);
        }
    }

    /// Unsubscribes a client; returns the code for each filter.
    pub(crate) fn unsubscribe(&mut self, key: SessionKey, filters: &[String]) -> Vec<u8> {
        let Some(session) = self.sessions.get_mut(&key) else { return Vec::new() };
        let mut codes = Vec::with_capacity(filters.len());
        for filter in filters {
            let known = session.subscriptions.remove(filter).is_some();
            if let Some(parsed) = Filter::parse(filter).filter(|_| known) {
                self.tree.remove(parsed, key);
            }
            codes.push(if known { reason::SUCCESS } else { reason::NO_SUBSCRIPTION });
        }
        if session.is_durable() {
            self.store.put_session(key, &session.record());
        }
        codes
    }
}

/// Whether an exactly-once message is there already; it gets its answer, now or when it is ready.
fn had(session: &mut Session, packet_id: u16) -> bool {
    if !session.received.contains(packet_id) || session.window.awaits(packet_id) {
        return session.received.contains(packet_id);
    }
    match session.window.same_id(packet_id) {
        Again::Slot(slot) => session.window.push(slot),
        // It was not dealt with: it counts as new.
        Again::Lost => return false,
        Again::Unknown => {
            if let Some(outlet) = session.outlet() {
                outlet.answer(0x50, packet_id, reason::SUCCESS);
            }
            session.received.answered(packet_id, false);
        }
    }
    true
}

/// Whether a message is one of an earlier connection that is still, or already, dealt with.
fn resumed(session: &mut Session, packet_id: u16, duplicate: bool, message: &Message) -> bool {
    match session.window.again(packet_id, duplicate, message) {
        Some(slot) => {
            session.window.push(slot);
            true
        }
        None => false,
    }
}
