//! What the client needs of the MQTT library, the same for both versions.

use super::{Outgoing, Properties, Qos, acks::Slot, registry::Wanted};
use bytes::Bytes;
use compact_str::CompactString;
use tidewire_node_api::broker::Sender as Author;

/// Requests that the library holds at most, each kind. Small: they are lost with a lost session; large enough for a
/// few batches.
pub(super) const REQUESTS_MAX: usize = 2_048;
/// Requests that are written before the socket is flushed.
pub(super) const REQUEST_BATCH: usize = 256;

/// A message as it came.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) topic: Bytes,
    pub(super) payload: Bytes,
    pub(super) qos: Qos,
    pub(super) retain: bool,
    pub(super) duplicate: bool,
    pub(super) packet_id: u16,
    pub(super) properties: Option<Box<Properties>>,
    /// What a broker in this process knows beyond that.
    pub(super) local: Option<Local>,
    /// See [`Incoming::identity`](super::Incoming::identity); not yet known when it comes.
    pub(super) identity: Option<CompactString>,
}

/// How a message came that passed no socket.
#[derive(Debug)]
pub(super) struct Local {
    /// The broker's number of the delivery, at QoS 1 and 2.
    pub(super) delivery: u64,
    /// The device, and its words about the message.
    pub(super) author: Option<Author>,
}

/// What the library reports.
#[derive(Debug)]
pub(super) enum Event {
    /// The broker accepted the connection.
    Connected { session_present: bool, subscription_ids: bool, receive_max: u16 },
    /// A message came.
    Message(Received),
    /// A message of QoS 1 or 2 is written, or written again, under this packet id.
    Sent(u16),
    /// The broker is done with a message of ours.
    Acknowledged { packet_id: u16, reason: u8 },
    /// Anything else.
    Other,
}

/// The connection is gone.
#[derive(Debug)]
pub(super) struct Lost {
    pub(super) reason: String,
    /// Gone because it was asked to go.
    pub(super) ended: bool,
}

/// Tells the reason code with which the broker answered a message; `None` when the library gave the message up.
pub(super) type Answer = std::pin::Pin<Box<dyn Future<Output = Option<u8>>>>;

/// Whether the library took a message.
pub(super) enum Offer {
    /// It did; what becomes of it is reported by events.
    Taken,
    /// It did, and gave it this packet id.
    Sent(u16),
    /// It did; what becomes of it is told here.
    Tracked(Answer),
    /// Not now.
    Full,
    /// Never.
    Invalid,
}

/// The side that is polled.
pub(super) trait Link: Sized {
    type Sender: Sender;

    fn sender(&self) -> Self::Sender;

    /// Waits for the next event; connects when there is no connection.
    async fn poll(&mut self) -> Result<Event, Lost>;

    /// An event that is at hand already.
    fn buffered(&mut self) -> Option<Event>;

    /// Lets go of the network, as if it had failed.
    fn drop_network(&mut self);
}

/// The side that requests go through. Nothing waits: a full channel says so.
pub(super) trait Sender: Clone + 'static {
    fn publish(&self, message: &Outgoing) -> Offer;

    fn acknowledge(&self, slot: Slot) -> bool;

    /// Subscribes; the answer is the granted guarantee or the reason code of the refusal, `None` when the connection
    /// went away before it came. `Err` when the library has no room.
    #[allow(clippy::type_complexity)]
    fn subscribe(
        &self,
        wanted: &Wanted,
        identified: bool,
    ) -> Result<std::pin::Pin<Box<dyn Future<Output = Option<Result<Qos, u8>>>>>, ()>;

    fn unsubscribe(&self, filter: &str) -> bool;

    /// Says goodbye once everything handed over is acknowledged.
    fn disconnect(&self);

    /// Sends off what has gathered.
    fn flush(&self) {}

    /// Everything that is wanted at the start has been asked for, or nothing is.
    fn settled(&self) {}

    /// The broker is in this process: it brings again what was not acknowledged, whatever the session, and takes
    /// acknowledgements in any order.
    fn is_local(&self) -> bool {
        false
    }
}
