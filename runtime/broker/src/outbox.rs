//! What one session has still to get at QoS 1 and 2: what waits, and what is under way.

use std::collections::{HashSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use smallvec::SmallVec;
use tidewire_node_api::broker::{LinkNotice, Qos};

use crate::link::LinkState;
use crate::message::{Message, Writing};
use crate::outlet::Outlet;
use crate::window::Slot;

/// Tags of the subscriptions that brought a message.
pub(crate) type Tags = SmallVec<[u32; 2]>;

/// What a delivery counts as while a link has not dealt with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counted {
    Not,
    OfDevice,
    /// It came from a link itself.
    OfLink,
}

/// One message for one session.
#[derive(Debug)]
pub(crate) struct Delivery {
    /// Grows; the key of its record.
    pub(crate) seq: u64,
    pub(crate) message: Arc<Message>,
    pub(crate) qos: Qos,
    pub(crate) retain: bool,
    pub(crate) tags: Tags,
    /// 0 before it is sent for the first time.
    pub(crate) packet_id: u16,
    pub(crate) duplicate: bool,
    /// The receiver has it, and has been asked to forget its id.
    pub(crate) released: bool,
    /// There is a record of it.
    pub(crate) stored: bool,
    /// There was before anybody got it: it has its number in every life of the broker, and its sender has gone on.
    pub(crate) kept: bool,
    /// How it counts among what links have not dealt with.
    pub(crate) counted: Counted,
    /// Who waits for its end.
    pub(crate) waiting: Option<Rc<Slot>>,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    queue: VecDeque<Delivery>,
    under_way: VecDeque<Delivery>,
    ids: HashSet<u16>,
    last_id: u16,
    bytes: usize,
}

/// Deliveries that came to an end, to be settled by the caller.
pub(crate) type Ended = SmallVec<[Delivery; 4]>;

impl Outbox {
    pub(crate) fn has_waiting(&self) -> bool {
        !self.queue.is_empty()
    }

    pub(crate) fn push(&mut self, delivery: Delivery) {
        self.bytes += delivery.message.size();
        self.queue.push_back(delivery);
    }

    /// Lets the oldest that wait go until both limits are kept.
    pub(crate) fn shorten(&mut self, count_max: usize, bytes_max: usize) -> Ended {
        let mut ended = Ended::new();
        while self.queue.len() > count_max || self.bytes > bytes_max {
            let Some(delivery) = self.queue.pop_front() else { break };
            self.forget(&delivery);
            ended.push(delivery);
        }
        ended
    }

    fn forget(&mut self, delivery: &Delivery) {
        self.bytes = self.bytes.saturating_sub(delivery.message.size());
        self.ids.remove(&delivery.packet_id);
    }

    fn next_id(&mut self) -> u16 {
        loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            if self.ids.insert(self.last_id) {
                return self.last_id;
            }
        }
    }

    /// Writes what the client's window has room for. Returns what will not be sent, and the sequence numbers of
    /// exactly-once messages that got an id which must be remembered.
    pub(crate) fn pump(&mut self, outlet: &Outlet, mut sent: impl FnMut(&Delivery)) -> Ended {
        let mut ended = Ended::new();
        while self.under_way.len() < outlet.window
            && outlet.has_room()
            && let Some(mut delivery) = self.queue.pop_front()
        {
            if delivery.message.is_expired() {
                self.forget(&delivery);
                ended.push(delivery);
                continue;
            }
            if delivery.packet_id == 0 {
                delivery.packet_id = self.next_id();
            }
            let how = Writing {
                qos: delivery.qos,
                retain: delivery.retain,
                duplicate: delivery.duplicate,
                packet_id: delivery.packet_id,
                tags: &delivery.tags,
                version_5: outlet.version_5,
            };
            if outlet.message(&delivery.message, how) {
                sent(&delivery);
                self.under_way.push_back(delivery);
            } else {
                self.forget(&delivery);
                ended.push(delivery);
            }
        }
        ended
    }

    /// Hands everything that waits to a link.
    pub(crate) fn pump_link(&mut self, link: &LinkState, mut sent: impl FnMut(&Delivery)) -> Ended {
        let mut ended = Ended::new();
        while let Some(delivery) = self.queue.pop_front() {
            if delivery.message.is_expired() {
                self.forget(&delivery);
                ended.push(delivery);
                continue;
            }
            link.push(LinkNotice::Message {
                id: Some(delivery.seq),
                publication: delivery.message.to_publication(delivery.qos, delivery.retain, &delivery.tags),
                sender: delivery.message.sender.clone().filter(|_| !delivery.kept),
                duplicate: delivery.duplicate,
            });
            sent(&delivery);
            self.under_way.push_back(delivery);
        }
        ended
    }

    /// The client has a message of QoS 1, refused one of QoS 2, or, with `completed`, is done with one.
    pub(crate) fn answered(&mut self, packet_id: u16, completed: bool) -> Option<Delivery> {
        let fits = |delivery: &Delivery| delivery.packet_id == packet_id && (!completed || delivery.released);
        let at = self.under_way.iter().position(fits)?;
        let delivery = self.under_way.remove(at)?;
        self.forget(&delivery);
        Some(delivery)
    }

    /// The client has a message of QoS 2.
    pub(crate) fn received(&mut self, packet_id: u16) -> Option<&Delivery> {
        let wanted = |delivery: &&mut Delivery| delivery.packet_id == packet_id && delivery.qos == Qos::ExactlyOnce;
        let delivery = self.under_way.iter_mut().find(wanted)?;
        delivery.released = true;
        Some(delivery)
    }

    /// The guarantee of a message that is under way.
    pub(crate) fn qos_of(&self, packet_id: u16) -> Option<Qos> {
        self.under_way.iter().find(|delivery| delivery.packet_id == packet_id).map(|delivery| delivery.qos)
    }

    /// A link has dealt with a message.
    pub(crate) fn acknowledged(&mut self, seq: u64) -> Option<Delivery> {
        let at = self.under_way.iter().position(|delivery| delivery.seq == seq)?;
        let delivery = self.under_way.remove(at)?;
        self.forget(&delivery);
        Some(delivery)
    }

    /// The connection is over: what was under way comes again on the next one, in the same order.
    pub(crate) fn disconnect(&mut self) {
        let (released, mut again): (VecDeque<_>, VecDeque<_>) =
            std::mem::take(&mut self.under_way).into_iter().partition(|delivery| delivery.released);
        for delivery in &mut again {
            delivery.duplicate = true;
        }
        again.append(&mut self.queue);
        (self.queue, self.under_way) = (again, released);
    }

    /// Packet ids that the client has to be asked again to forget.
    pub(crate) fn released(&self) -> impl Iterator<Item = u16> {
        self.under_way.iter().filter(|delivery| delivery.released).map(|delivery| delivery.packet_id)
    }

    /// Everything that is not under way.
    pub(crate) fn waiting_mut(&mut self) -> impl Iterator<Item = &mut Delivery> {
        self.queue.iter_mut()
    }

    /// Puts back what a record says.
    pub(crate) fn restore(&mut self, delivery: Delivery) {
        self.bytes += delivery.message.size();
        if delivery.packet_id != 0 {
            self.ids.insert(delivery.packet_id);
        }
        if delivery.released { self.under_way.push_back(delivery) } else { self.queue.push_back(delivery) }
    }

    /// Everything, at the end of the session.
    pub(crate) fn drain(&mut self) -> Vec<Delivery> {
        self.bytes = 0;
        self.ids.clear();
        self.under_way.drain(..).chain(self.queue.drain(..)).collect()
    }
}
