//! What a client sent at QoS 1 and 2 and has not been answered: answers go out in the order of receipt, each when
//! everything that its message waits for has ended.

use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use tidewire_node_api::broker::Qos;

use crate::link::LinkState;
use crate::message::Message;
use crate::tree::SessionKey;
use crate::wire::reason;

/// One message of a client.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) packet_id: u16,
    pub(crate) exactly_once: bool,
    /// The session that waits for the answer.
    pub(crate) session: SessionKey,
    /// Or the link, and its number for the message.
    pub(crate) link: Option<(Arc<LinkState>, u64)>,
    pub(crate) reason: Cell<u8>,
    message: Arc<Message>,
    waiting: Cell<u32>,
    followed: Cell<bool>,
    lost: Cell<bool>,
}

impl Slot {
    pub(crate) fn new(message: Arc<Message>, packet_id: u16, session: SessionKey) -> Rc<Self> {
        let exactly_once = message.qos() == Qos::ExactlyOnce;
        Rc::new(Slot { packet_id, exactly_once, ..Slot::of(message, session) })
    }

    /// The slot of a message that a link publishes.
    pub(crate) fn of_link(message: Arc<Message>, link: Arc<LinkState>, id: u64, session: SessionKey) -> Rc<Self> {
        Rc::new(Slot { link: Some((link, id)), ..Slot::of(message, session) })
    }

    fn of(message: Arc<Message>, session: SessionKey) -> Self {
        Slot {
            packet_id: 0,
            exactly_once: false,
            session,
            link: None,
            reason: Cell::new(reason::SUCCESS),
            message,
            waiting: Cell::new(0),
            followed: Cell::new(false),
            lost: Cell::new(false),
        }
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.lost.get()
    }

    /// One thing more to wait for.
    pub(crate) fn expect(&self) {
        self.waiting.set(self.waiting.get() + 1);
    }

    /// As [`Slot::expect`], for a link.
    pub(crate) fn follow(&self) {
        self.followed.set(true);
        self.expect();
    }

    /// Whether links have, or had, to deal with the message.
    pub(crate) fn is_followed(&self) -> bool {
        self.followed.get()
    }

    /// One of them has ended; says whether it was the last one.
    pub(crate) fn end(&self, lost: bool) -> bool {
        self.waiting.set(self.waiting.get().saturating_sub(1));
        self.lost.set(self.lost.get() || lost);
        self.waiting.get() == 0
    }

    /// Which of the client's messages it is.
    pub(crate) fn number(&self) -> u64 {
        self.message.sender.as_ref().map_or(0, |sender| sender.number)
    }

    fn is_same(&self, message: &Message) -> bool {
        self.message.topic == message.topic && self.message.payload == message.payload
    }
}

/// What comes next at the front of a window.
pub(crate) enum Front {
    /// Answer this one.
    Answer(Rc<Slot>),
    /// It got lost: the client has to send it again, and everything after it.
    Lost,
    /// Nothing to be done.
    Wait,
}

/// What became of a message of an earlier connection.
pub(crate) enum Again {
    Slot(Rc<Slot>),
    /// It was not dealt with.
    Lost,
    Unknown,
}

/// The messages of one session.
#[derive(Debug, Default)]
pub(crate) struct Window {
    slots: VecDeque<Rc<Slot>>,
    /// From earlier connections, for the case that the client sends them again.
    earlier: HashMap<u16, Rc<Slot>>,
}

impl Window {
    /// Messages that are not answered.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn push(&mut self, slot: Rc<Slot>) {
        self.slots.push_back(slot);
    }

    /// The slot of an earlier connection whose message a client sends again. Anything else under its packet id is news,
    /// and with the first of them it has sent again all that it will.
    pub(crate) fn again(&mut self, packet_id: u16, duplicate: bool, message: &Message) -> Option<Rc<Slot>> {
        if !duplicate {
            self.earlier.clear();
            return None;
        }
        let slot = self.earlier.remove(&packet_id)?;
        (!slot.lost.get() && slot.is_same(message)).then_some(slot)
    }

    /// The slot of an earlier connection under a packet id that only one message can have.
    pub(crate) fn same_id(&mut self, packet_id: u16) -> Again {
        match self.earlier.remove(&packet_id) {
            Some(slot) if slot.is_lost() => Again::Lost,
            Some(slot) => Again::Slot(slot),
            None => Again::Unknown,
        }
    }

    /// Whether an answer to this packet is due.
    pub(crate) fn awaits(&self, packet_id: u16) -> bool {
        self.slots.iter().any(|slot| slot.packet_id == packet_id)
    }

    /// Takes the front if it has ended.
    pub(crate) fn advance(&mut self) -> Front {
        match self.slots.front() {
            Some(slot) if slot.waiting.get() > 0 => Front::Wait,
            Some(slot) if slot.lost.get() => Front::Lost,
            _ => self.slots.pop_front().map_or(Front::Wait, Front::Answer),
        }
    }

    /// The connection is over.
    pub(crate) fn disconnect(&mut self) {
        for slot in self.slots.drain(..) {
            self.earlier.insert(slot.packet_id, slot);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tidewire_node_api::broker::Publication;

    fn message(payload: &'static str) -> Arc<Message> {
        let publication = Publication {
            topic: "t".into(),
            payload: payload.into(),
            qos: Qos::AtLeastOnce,
            retain: false,
            properties: None,
        };
        Arc::new(Message::from_publication(publication))
    }

    fn slot(window: &mut Window, id: u16) -> Rc<Slot> {
        let slot = Slot::new(message("1"), id, 1);
        slot.expect();
        window.push(Rc::clone(&slot));
        slot
    }

    #[test]
    fn answers_keep_the_order_of_receipt() {
        let mut window = Window::default();
        let (first, second) = (slot(&mut window, 1), slot(&mut window, 2));
        assert!(second.end(false));
        assert!(matches!(window.advance(), Front::Wait));
        assert!(first.end(false));
        for id in [1, 2] {
            assert!(matches!(window.advance(), Front::Answer(slot) if slot.packet_id == id));
        }
        assert!(matches!(window.advance(), Front::Wait));
    }

    #[test]
    fn what_got_lost_is_never_answered() {
        let mut window = Window::default();
        slot(&mut window, 1).end(true);
        assert!(matches!(window.advance(), Front::Lost));
        window.disconnect();
        assert!(window.again(1, true, &message("1")).is_none(), "it has to be dealt with again");
    }

    #[test]
    fn a_message_that_is_sent_again_finds_its_slot() {
        let mut window = Window::default();
        for id in 1..=3 {
            slot(&mut window, id);
        }
        window.disconnect();
        assert!(window.again(1, true, &message("1")).is_some());
        assert!(window.again(1, true, &message("1")).is_none(), "only once");
        assert!(window.again(3, true, &message("2")).is_none(), "another message");
        assert!(window.again(4, false, &message("1")).is_none(), "not marked as sent again");
        assert!(window.again(2, true, &message("1")).is_none(), "the client had gone on");
    }
}
