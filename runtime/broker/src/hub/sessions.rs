//! Sessions come and go: connect, resume, take over, leave, expire, and come back after a restart.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::Hub;
use crate::link::LinkState;
use crate::message::{Message, now_ms};
use crate::outbox::Counted;
use crate::session::{ArmedWill, Seat, Session};
use crate::store::Kept;
use crate::topics::Filter;
use crate::tree::SessionKey;
use crate::wire::reason;
use tidewire_node_api::broker::LinkNotice;

/// The longest that a session outlives its connection, in seconds: a client that never comes back is forgotten.
const EXPIRY_MAX: u32 = 30 * 24 * 3_600;

/// A client that comes.
pub(crate) struct Entering {
    pub(crate) client_id: Arc<str>,
    pub(crate) user: Option<String>,
    pub(crate) clean_start: bool,
    pub(crate) expiry: u32,
    pub(crate) will: Option<ArmedWill>,
    pub(crate) seat: Seat,
}

/// How a client leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leaving {
    /// It said goodbye: its will is not published.
    Goodbye,
    Vanished,
}

/// Where a client ended up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entered {
    pub(crate) key: SessionKey,
    pub(crate) generation: u64,
    pub(crate) session_present: bool,
    /// Seconds for which the session is kept.
    pub(crate) expiry: u32,
}

impl Hub {
    /// Lets a client in; `welcome` writes the answer, before anything else is written to it.
    pub(crate) fn enter(&mut self, entering: Entering, welcome: impl FnOnce(&Entered)) -> Entered {
        let known = self.names.get(&entering.client_id).copied();
        if let Some(key) = known {
            self.take_over(key);
            if entering.clean_start {
                self.end_session(key);
            } else {
                self.wills.retain(|(_, whose, ..)| *whose != key);
            }
        }
        let present = self.names.get(&entering.client_id).copied();
        let key = present.unwrap_or_else(|| self.new_session(Arc::clone(&entering.client_id)));
        let Some(session) = self.sessions.get_mut(&key) else {
            // Not reached: it was found or made just now.
            return Entered { key, generation: 0, session_present: false, expiry: 0 };
        };
        let was_durable = session.is_durable();
        session.generation += 1;
        session.expiry = entering.expiry.min(EXPIRY_MAX);
        (session.user, session.will, session.left_at, session.held) = (entering.user, entering.will, None, false);
        let expiry = session.expiry;
        let entered = Entered { key, generation: session.generation, session_present: present.is_some(), expiry };
        welcome(&entered);
        if let Seat::Socket(outlet) = &entering.seat {
            self.counters.clients.fetch_add(1, Relaxed);
            session.outbox.released().for_each(|id| outlet.answer(0x62, id, reason::SUCCESS));
        }
        session.seat = Some(entering.seat);
        if session.is_durable() {
            self.store.put_session(key, &session.record());
        } else if was_durable {
            session.received.forget_notes();
            self.store.remove_session(key);
        }
        self.pump(key);
        entered
    }

    fn new_session(&mut self, client_id: Arc<str>) -> SessionKey {
        let key = self.next_key;
        self.next_key += 1;
        self.names.insert(Arc::clone(&client_id), key);
        self.sessions.insert(key, Session::new(key, client_id));
        key
    }

    /// Sends away whoever uses a session.
    fn take_over(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.get(&key) else { return };
        let generation = session.generation;
        match &session.seat {
            Some(Seat::Socket(outlet)) => outlet.end(reason::TAKEN_OVER),
            Some(Seat::Link(link)) => {
                link.push(LinkNotice::Closed { reason: "another client came with the same id".to_owned() });
                self.told.push(Arc::clone(link));
            }
            None => return,
        }
        self.leave(key, generation, Leaving::Vanished);
    }

    /// A connection is over. One that has been replaced meanwhile changes nothing.
    pub(crate) fn leave(&mut self, key: SessionKey, generation: u64, how: Leaving) {
        let Some(session) = self.sessions.get_mut(&key).filter(|session| session.generation == generation) else {
            return;
        };
        match session.seat.take() {
            Some(Seat::Socket(_)) => drop(self.counters.clients.fetch_sub(1, Relaxed)),
            Some(Seat::Link(_)) => {}
            None => return,
        }
        session.left_at = Some(now_ms());
        session.outbox.disconnect();
        session.window.disconnect();
        session.received.disconnect();
        let will = session.will.take().filter(|_| how != Leaving::Goodbye);
        let (client_id, user) = (Arc::clone(&session.client_id), session.user.clone());
        let (durable, stays) = (session.is_durable(), session.is_durable() || session.held);
        if let Some((message, delay)) = will {
            let allowed = self.authenticator.may_publish(&client_id, user.as_deref(), &message.topic);
            match allowed {
                true if delay > 0 && durable => {
                    self.wills.push((now_ms() + i64::from(delay) * 1_000, key, generation, message));
                }
                true => self.publish(&message, Some(key), None, false),
                false => tracing::debug!(%client_id, topic = %message.topic, "mqtt will refused"),
            }
        }
        if !stays {
            return self.end_session(key);
        }
        if durable {
            self.keep_waiting(key);
            if let Some(session) = self.sessions.get(&key) {
                self.store.put_session(key, &session.record());
            }
        }
        self.deadlines.notify_one();
    }

    /// Stores what a durable session has still to get and what was only in memory, because a link was there to take it.
    fn keep_waiting(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        let (mut slots, mut outbox) = (Vec::new(), std::mem::take(&mut session.outbox));
        for delivery in outbox.waiting_mut().filter(|delivery| delivery.counted != Counted::Not) {
            let slot = delivery.waiting.take();
            self.uncount(delivery);
            if !delivery.stored && self.store.keeps() {
                delivery.stored = true;
                self.store.put_delivery(key, delivery, slot.clone());
            }
            slots.extend(slot);
        }
        if let Some(session) = self.sessions.get_mut(&key) {
            session.outbox = outbox;
        }
        for slot in slots {
            self.end_slot(&slot, false);
        }
    }

    /// Changes how long a session outlives its connection.
    pub(crate) fn set_expiry(&mut self, key: SessionKey, expiry: u32) -> bool {
        let Some(session) = self.sessions.get_mut(&key) else { return true };
        if session.expiry == 0 && expiry > 0 {
            return false;
        }
        session.expiry = expiry.min(EXPIRY_MAX);
        if expiry == 0 {
            session.received.forget_notes();
            self.store.remove_session(key);
        }
        true
    }

    /// Forgets a session. What it has still to get is lost.
    pub(crate) fn end_session(&mut self, key: SessionKey) {
        let Some(mut session) = self.sessions.remove(&key) else { return };
        self.names.remove(&session.client_id);
        for filter in session.subscriptions.keys().filter_map(|filter| Filter::parse(filter)) {
            self.tree.remove(filter, key);
        }
        for delivery in session.outbox.drain() {
            self.end_delivery(key, delivery, true);
        }
        if session.is_durable() {
            self.store.remove_session(key);
        }
        let mut due = Vec::new();
        self.wills.retain(|(_, whose, _, message)| {
            let stays = *whose != key;
            if !stays {
                due.push(Arc::clone(message));
            }
            stays
        });
        for message in due {
            self.publish(&message, None, None, false);
        }
    }

    /// Does what is due by now: wills, the ends of sessions. Returns when to look again.
    pub(crate) fn expire(&mut self) -> Option<i64> {
        let now = now_ms();
        let (due, later) = std::mem::take(&mut self.wills).into_iter().partition::<Vec<_>, _>(|(at, ..)| *at <= now);
        self.wills = later;
        for (_, key, generation, message) in due {
            let same = self.sessions.get(&key).is_none_or(|session| session.generation == generation);
            if same {
                self.publish(&message, None, None, false);
            }
        }
        let over = |session: &&Session| session.expires_at().is_some_and(|at| at <= now);
        let over: Vec<_> = self.sessions.values().filter(over).map(|session| session.key).collect();
        for key in over {
            self.end_session(key);
        }
        self.force_open(now);
        self.settle();
        let wills = self.wills.iter().map(|(at, ..)| *at);
        let sessions = self.sessions.values().filter_map(Session::expires_at);
        wills.chain(sessions).chain(self.opening_until()).min()
    }

    /// Puts back what was kept over a restart.
    pub(crate) fn restore(&mut self, kept: Kept) {
        for key in kept.unreadable {
            tracing::warn!(key, "mqtt record cannot be read and is left out");
        }
        for (key, record) in kept.sessions {
            let mut session = Session::new(key, record.client_id.as_str().into());
            (session.user, session.expiry) = (record.user, record.expiry);
            session.left_at = record.left_at.or_else(|| Some(now_ms()));
            for (filter, options) in record.subscriptions {
                if let Some(parsed) = Filter::parse(&filter) {
                    self.tree.add(parsed, key, options);
                    session.subscriptions.insert(filter, options);
                }
            }
            self.next_key = self.next_key.max(key + 1);
            self.names.insert(Arc::clone(&session.client_id), key);
            if record.left_at.is_none() {
                self.store.put_session(key, &session.record());
            }
            self.sessions.insert(key, session);
        }
        for (key, mut delivery) in kept.deliveries {
            self.next_seq = self.next_seq.max(delivery.seq + 1);
            match self.sessions.get_mut(&key) {
                Some(session) => {
                    // Nobody knows any more whether it was sent, but for those that had to remember their id.
                    delivery.duplicate = delivery.packet_id != 0 || delivery.qos.as_u8() == 1;
                    session.outbox.restore(delivery);
                }
                None => self.store.remove_delivery(key, delivery.seq),
            }
        }
        for (key, ids) in kept.received {
            self.sessions.entry(key).and_modify(|session| session.received.restore(&ids));
        }
        for (number, message) in kept.retained {
            self.retained.restore(number, message);
        }
        self.settle();
    }

    /// Tells everybody that the broker stops.
    pub(crate) fn say_goodbye(&mut self) {
        for session in self.sessions.values() {
            match &session.seat {
                Some(Seat::Socket(outlet)) => outlet.end(reason::SHUTTING_DOWN),
                Some(Seat::Link(link)) => {
                    link.push(LinkNotice::Closed { reason: "the broker stops".to_owned() });
                    link.tell();
                }
                None => {}
            }
        }
    }

    /// The link that uses a session.
    pub(super) fn is_link(&self, key: SessionKey, link: &LinkState) -> bool {
        let seat = self.sessions.get(&key).and_then(|session| session.seat.as_ref());
        matches!(seat, Some(Seat::Link(other)) if other.number() == link.number())
    }

    /// A will that is ready to be published.
    pub(crate) fn arm(message: Message, delay: u32, expiry: u32) -> ArmedWill {
        (Arc::new(message), delay.min(expiry))
    }
}
