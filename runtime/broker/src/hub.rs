//! The state of the broker, on its one thread: who is there, who wants what, what has still to be delivered. Nothing in
//! it waits; connections call it, and read from their outlets what is to be written.

mod links;
mod requests;
mod routing;
mod sessions;

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use tidewire_node_api::broker::LinkNotice;
use tokio::sync::Notify;

use crate::counters::Counters;
use crate::link::LinkState;
use crate::message::Message;
use crate::outbox::{Counted, Delivery};
use crate::outlet::Outlet;
use crate::session::Session;
use crate::store::{Store, Waiting};
use crate::tree::{SessionKey, Tree};
use crate::window::{Front, Slot};
use crate::wire::reason;
use crate::{Authenticator, Limits};

use links::Links;
pub(crate) use requests::Answer;
pub(crate) use routing::Retained;
pub(crate) use sessions::{Entered, Entering, Leaving};

/// Messages that links have not dealt with before devices are no longer read.
const AWAITED_MAX: usize = 16_384;
/// Bytes of them.
const AWAITED_BYTES_MAX: usize = 32 * 1024 * 1024;

/// What links have not dealt with.
#[derive(Debug, Default)]
struct Awaited {
    count: usize,
    bytes: usize,
    /// How many of them came from links.
    of_links: usize,
}

impl Awaited {
    fn is_full(&self) -> bool {
        self.count >= AWAITED_MAX || self.bytes >= AWAITED_BYTES_MAX
    }
}

/// See the module.
pub(crate) struct Hub {
    pub(crate) limits: Limits,
    authenticator: Arc<dyn Authenticator>,
    counters: Arc<Counters>,
    sessions: HashMap<SessionKey, Session>,
    names: HashMap<Arc<str>, SessionKey>,
    tree: Tree,
    retained: Retained,
    pub(crate) store: Store,
    links: Links,
    next_key: SessionKey,
    next_seq: u64,
    awaited: Awaited,
    /// Connections that stopped reading.
    held: Vec<Rc<Outlet>>,
    /// Links that published while others had too much to deal with wait for their answers.
    delayed: Vec<Rc<Slot>>,
    /// Messages from devices are taken.
    open: bool,
    /// Sessions whose window may have moved on.
    touched: Vec<SessionKey>,
    told: Vec<Arc<LinkState>>,
    /// Delayed wills: when, whose, and of which connection.
    wills: Vec<(i64, SessionKey, u64, Arc<Message>)>,
    /// Something with a deadline has come.
    pub(crate) deadlines: Rc<Notify>,
}

impl Hub {
    pub(crate) fn new(
        limits: Limits,
        authenticator: Arc<dyn Authenticator>,
        counters: Arc<Counters>,
        store: Store,
        open: bool,
    ) -> Self {
        Hub {
            limits,
            authenticator,
            counters,
            sessions: HashMap::new(),
            names: HashMap::new(),
            tree: Tree::default(),
            retained: Retained::default(),
            store,
            links: Links::default(),
            next_key: 1,
            next_seq: 1,
            awaited: Awaited::default(),
            held: Vec::new(),
            delayed: Vec::new(),
            open,
            touched: Vec::new(),
            told: Vec::new(),
            wills: Vec::new(),
            deadlines: Rc::default(),
        }
    }

    pub(crate) fn authenticator(&self) -> Arc<dyn Authenticator> {
        Arc::clone(&self.authenticator)
    }

    /// Whether messages from devices are taken now.
    fn is_taking(&self) -> bool {
        self.open && !self.awaited.is_full()
    }

    /// Has connections that stopped reading look again.
    fn release(&mut self) {
        for outlet in self.held.drain(..) {
            outlet.wake.notify_one();
        }
    }

    /// Something that a message waited for has ended.
    fn end_slot(&mut self, slot: &Rc<Slot>, lost: bool) {
        if !slot.end(lost) {
            return;
        }
        match &slot.link {
            None if self.note(slot) => {}
            None => self.touched.push(slot.session),
            Some((link, id)) => {
                let reason = if slot.is_lost() { reason::UNSPECIFIED } else { slot.reason.get() };
                link.push(LinkNotice::Published { id: *id, reason });
                self.told.push(Arc::clone(link));
            }
        }
    }

    /// A delivery has come to its end.
    fn end_delivery(&mut self, key: SessionKey, mut delivery: Delivery, lost: bool) {
        if delivery.stored {
            self.store.remove_delivery(key, delivery.seq);
        }
        self.uncount(&mut delivery);
        if let Some(slot) = delivery.waiting {
            self.end_slot(&slot, lost);
        }
    }

    fn count(&mut self, delivery: &mut Delivery, counted: Counted) {
        delivery.counted = counted;
        self.awaited.count += 1;
        self.awaited.bytes += delivery.message.size();
        self.awaited.of_links += usize::from(counted == Counted::OfLink);
    }

    fn uncount(&mut self, delivery: &mut Delivery) {
        if delivery.counted != Counted::Not {
            self.awaited.count -= 1;
            self.awaited.bytes -= delivery.message.size();
            self.awaited.of_links -= usize::from(delivery.counted == Counted::OfLink);
            delivery.counted = Counted::Not;
        }
    }

    /// What the store was asked to keep is on disk, or will never be.
    pub(crate) fn stored(&mut self, waiting: &[Waiting], lost: bool) {
        for waiting in waiting {
            match waiting {
                Waiting::Nobody => {}
                Waiting::Answer(slot) => {
                    if lost && let Some(session) = self.sessions.get_mut(&slot.session) {
                        session.received.forget_note(slot.packet_id);
                    }
                    self.end_slot(slot, lost);
                }
                Waiting::Release { session, generation, packet_id } => {
                    self.release_stored(*session, *generation, *packet_id, lost);
                }
            }
        }
        self.settle();
    }

    /// Sends the answers that are due, and tells links what they have got. Called after every piece of work.
    pub(crate) fn settle(&mut self) {
        if !self.delayed.is_empty() && self.awaited.of_links < AWAITED_MAX {
            for slot in std::mem::take(&mut self.delayed) {
                self.end_slot(&slot, false);
            }
        }
        while let Some(key) = self.touched.pop() {
            self.advance(key);
        }
        for link in self.told.drain(..) {
            link.tell();
        }
        if !self.held.is_empty() && self.is_taking() {
            self.release();
        }
        self.counters.retained.store(self.retained.len(), Relaxed);
    }

    fn advance(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.get_mut(&key) else { return };
        // A connection that is about to end writes no answers: the next one does.
        let Some(outlet) = session.outlet().filter(|outlet| !outlet.is_ended()).cloned() else { return };
        loop {
            match session.window.advance() {
                Front::Answer(slot) => {
                    let first = if slot.exactly_once { 0x50 } else { 0x40 };
                    let reason = slot.reason.get();
                    if slot.exactly_once {
                        session.received.answered(slot.packet_id, reason >= reason::UNSPECIFIED);
                    }
                    outlet.answer(first, slot.packet_id, reason);
                    outlet.answered.set(slot.number());
                }
                // Without an answer, and on a new connection, the client sends it again.
                Front::Lost => return outlet.end(reason::UNSPECIFIED),
                Front::Wait => return,
            }
        }
    }
}
