//! The way out to one socket: what is to be written gathers here and goes out together.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::sync::Arc;

use bytes::{BufMut, BytesMut};
use tidewire_node_api::broker::Qos;
use tokio::sync::Notify;

use crate::message::{Message, Writing};
use crate::wire::reason;

/// Bytes that gather before messages have to wait: the client does not read.
const ROOM: usize = 256 * 1024;

/// A message of QoS 0 that waits for room.
type Waiting = (Arc<Message>, bool, Vec<u32>);

/// See the module.
#[derive(Debug)]
pub(crate) struct Outlet {
    pub(crate) version_5: bool,
    /// The largest packet that the client takes.
    packet_max: u32,
    /// Messages of QoS 1 and 2 that may be under way to the client.
    pub(crate) window: usize,
    pub(crate) bytes: RefCell<BytesMut>,
    lane: RefCell<VecDeque<Waiting>>,
    lane_max: usize,
    /// The last of the client's messages whose answer has been put here.
    pub(crate) answered: Cell<u64>,
    ended: Cell<bool>,
    /// Tells the connection that there is something to write, or to read on.
    pub(crate) wake: Notify,
}

/// What became of a message of QoS 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Put {
    Written,
    Waits,
    /// It waits, and the oldest that waited had to go.
    Displaced,
    /// The client does not take packets of its size.
    TooLarge,
}

impl Outlet {
    pub(crate) fn new(version_5: bool, packet_max: u32, window: usize, lane_max: usize) -> Self {
        Outlet {
            version_5,
            packet_max,
            window,
            bytes: RefCell::default(),
            lane: RefCell::default(),
            lane_max,
            answered: Cell::new(0),
            ended: Cell::new(false),
            wake: Notify::new(),
        }
    }

    pub(crate) fn has_room(&self) -> bool {
        !self.ended.get() && self.bytes.borrow().len() < ROOM
    }

    /// Whether the connection has to end once everything is written.
    pub(crate) fn is_ended(&self) -> bool {
        self.ended.get()
    }

    fn change(&self, write: impl FnOnce(&mut BytesMut)) {
        if !self.ended.get() {
            write(&mut self.bytes.borrow_mut());
            self.wake.notify_one();
        }
    }

    /// Says goodbye, with a reason where the version has them, and ends the connection.
    pub(crate) fn end(&self, reason: u8) {
        if self.version_5 {
            self.change(|out| out.put_slice(&[0xE0, 1, reason]));
        }
        self.close();
    }

    /// Ends the connection without a word.
    pub(crate) fn close(&self) {
        self.ended.set(true);
        self.wake.notify_one();
    }

    pub(crate) fn raw(&self, bytes: &[u8]) {
        self.change(|out| out.put_slice(bytes));
    }

    /// PUBACK, PUBREC, PUBREL or PUBCOMP, by its first byte.
    pub(crate) fn answer(&self, first: u8, packet_id: u16, reason: u8) {
        self.change(|out| {
            let with_reason = self.version_5 && reason != reason::SUCCESS;
            out.put_slice(&[first, if with_reason { 3 } else { 2 }]);
            out.put_u16(packet_id);
            if with_reason {
                out.put_u8(reason);
            }
        });
    }

    /// SUBACK or UNSUBACK.
    pub(crate) fn codes(&self, first: u8, packet_id: u16, codes: &[u8]) {
        self.change(|out| {
            out.put_u8(first);
            crate::wire::put_variable(out, 2 + usize::from(self.version_5) + codes.len());
            out.put_u16(packet_id);
            if self.version_5 {
                out.put_u8(0);
            }
            out.put_slice(codes);
        });
    }

    /// Writes a message of QoS 1 or 2; says no when the client does not take packets of its size.
    pub(crate) fn message(&self, message: &Message, mut how: Writing<'_>) -> bool {
        let mut fits = true;
        how.version_5 = self.version_5;
        self.change(|out| fits = message.write(how, self.packet_max, out));
        fits
    }

    /// Writes a message of QoS 0, or keeps it until there is room.
    pub(crate) fn quick(&self, message: &Arc<Message>, retain: bool, tags: &[u32]) -> Put {
        let mut lane = self.lane.borrow_mut();
        if lane.is_empty() && self.has_room() {
            return if self.write_quick(message, retain, tags) { Put::Written } else { Put::TooLarge };
        }
        lane.push_back((Arc::clone(message), retain, tags.to_vec()));
        if lane.len() <= self.lane_max {
            return Put::Waits;
        }
        lane.pop_front();
        Put::Displaced
    }

    fn write_quick(&self, message: &Message, retain: bool, tags: &[u32]) -> bool {
        let how =
            Writing { qos: Qos::AtMostOnce, retain, duplicate: false, packet_id: 0, tags, version_5: self.version_5 };
        self.message(message, how)
    }

    /// Writes what waits, as far as there is room; returns the payload sizes of what was written.
    pub(crate) fn refill(&self) -> Vec<usize> {
        let (mut written, mut lane) = (Vec::new(), self.lane.borrow_mut());
        while self.has_room()
            && let Some((message, retain, tags)) = lane.pop_front()
        {
            if !message.is_expired() && self.write_quick(&message, retain, &tags) {
                written.push(message.payload.len());
            }
        }
        if lane.is_empty() && lane.capacity() > 64 {
            *lane = VecDeque::new();
        }
        written
    }
}
