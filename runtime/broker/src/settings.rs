//! What the broker is started with.

use crate::{Anonymous, Authenticator};
use std::{fmt, net::SocketAddr, sync::Arc};
use tidewire_node_api::handles::Log;

/// Everything the broker needs to start.
#[derive(Clone)]
pub struct BrokerSettings {
    /// Where to listen. Port 0 picks a free one.
    pub listen: SocketAddr,
    /// Caps that keep one client from harming the others.
    pub limits: Limits,
    /// The log beside which sessions, queued and retained messages are kept. `None` keeps them in memory only.
    pub log: Option<Arc<dyn Log>>,
    /// Takes messages from devices only after [`crate::Broker::open`], when those who want them are there.
    pub waits: bool,
    /// Who may connect, publish and subscribe.
    pub authenticator: Arc<dyn Authenticator>,
}

impl BrokerSettings {
    /// Settings for `listen` with default limits, in memory, anonymous clients on loopback only.
    #[must_use]
    pub fn new(listen: SocketAddr) -> Self {
        Self { listen, limits: Limits::default(), log: None, waits: false, authenticator: Arc::new(Anonymous) }
    }
}

impl fmt::Debug for BrokerSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BrokerSettings")
            .field("listen", &self.listen)
            .field("limits", &self.limits)
            .field("waits", &self.waits)
            .finish_non_exhaustive()
    }
}

/// Caps per broker and per client.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Clients connected at the same time.
    pub clients_max: usize,
    /// Largest packet a client may send, in bytes.
    pub packet_bytes_max: usize,
    /// Retained messages kept in all.
    pub retained_max: usize,
    /// Subscriptions one client may hold.
    pub subscriptions_max: usize,
    /// Messages kept for one client that is offline or slow; the oldest goes first.
    pub queued_max: usize,
    /// Bytes kept for one client that is offline or slow.
    pub queued_bytes_max: usize,
    /// Unacknowledged messages that one client may have under way, in either direction.
    pub inflight_max: u16,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            clients_max: 10_000,
            packet_bytes_max: 1024 * 1024,
            retained_max: 10_000,
            subscriptions_max: 1_000,
            queued_max: 10_000,
            queued_bytes_max: 16 * 1024 * 1024,
            inflight_max: 256,
        }
    }
}
