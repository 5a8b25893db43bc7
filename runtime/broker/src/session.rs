//! What the broker knows of one client, over its connections.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use tidewire_node_api::broker::Device;

use crate::link::LinkState;
use crate::message::Message;
use crate::outbox::Outbox;
use crate::outlet::Outlet;
use crate::received::Received;
use crate::store::SessionRecord;
use crate::tree::{Options, SessionKey};
use crate::window::Window;

/// Where a client is reached now.
#[derive(Debug, Clone)]
pub(crate) enum Seat {
    Socket(Rc<Outlet>),
    Link(Arc<LinkState>),
}

/// A will, and the seconds for which it waits.
pub(crate) type ArmedWill = (Arc<Message>, u32);

#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) key: SessionKey,
    pub(crate) client_id: Arc<str>,
    /// What links know of it.
    pub(crate) device: Arc<Device>,
    /// Messages of QoS 1 and 2 that it has published.
    pub(crate) published: u64,
    pub(crate) user: Option<String>,
    /// Seconds for which it outlives a connection; `u32::MAX` is for ever.
    pub(crate) expiry: u32,
    /// It outlives the next end of its link, whatever its expiry.
    pub(crate) held: bool,
    pub(crate) subscriptions: BTreeMap<String, Options>,
    pub(crate) seat: Option<Seat>,
    /// Grows with every connection.
    pub(crate) generation: u64,
    pub(crate) will: Option<ArmedWill>,
    pub(crate) left_at: Option<i64>,
    pub(crate) outbox: Outbox,
    pub(crate) window: Window,
    /// Exactly-once messages that the client may send again.
    pub(crate) received: Received,
}

impl Session {
    pub(crate) fn new(key: SessionKey, client_id: Arc<str>) -> Self {
        Session {
            key,
            device: Arc::new(Device::new(Arc::clone(&client_id))),
            published: 0,
            client_id,
            user: None,
            expiry: 0,
            held: false,
            subscriptions: BTreeMap::new(),
            seat: None,
            generation: 0,
            will: None,
            left_at: None,
            outbox: Outbox::default(),
            window: Window::default(),
            received: Received::default(),
        }
    }

    /// Whether it outlives its connection, and the process.
    pub(crate) fn is_durable(&self) -> bool {
        self.expiry > 0
    }

    /// Messages are kept in memory, and whoever sent them waits until they have been dealt with.
    pub(crate) fn is_awaited(&self) -> bool {
        match &self.seat {
            Some(Seat::Link(_)) => true,
            Some(Seat::Socket(_)) => false,
            None => !self.is_durable(),
        }
    }

    pub(crate) fn outlet(&self) -> Option<&Rc<Outlet>> {
        match &self.seat {
            Some(Seat::Socket(outlet)) => Some(outlet),
            _ => None,
        }
    }

    /// When it expires, in milliseconds since 1970.
    pub(crate) fn expires_at(&self) -> Option<i64> {
        let finite = self.expiry != u32::MAX && !self.held;
        self.left_at.filter(|_| finite).map(|at| at.saturating_add(i64::from(self.expiry) * 1_000))
    }

    pub(crate) fn record(&self) -> SessionRecord {
        SessionRecord {
            client_id: self.client_id.to_string(),
            user: self.user.clone(),
            expiry: self.expiry,
            subscriptions: self.subscriptions.iter().map(|(filter, options)| (filter.clone(), *options)).collect(),
            left_at: self.left_at,
        }
    }
}
