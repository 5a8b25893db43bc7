//! Messages as they cross between the client thread and the nodes.

use super::Ack;
use bytes::Bytes;
use bytestring::ByteString;
use compact_str::CompactString;
use std::fmt;

pub use tidewire_node_api::broker::{Properties, Qos};

/// A message from the broker.
#[derive(Debug)]
pub struct Incoming {
    /// Where it was published.
    pub topic: ByteString,
    /// What was published.
    pub payload: Bytes,
    /// Guarantee with which it came.
    pub qos: Qos,
    /// Known state sent at subscription time, not news (see the subscription's `retain_as_published`).
    pub retain: bool,
    /// The broker may have delivered it before.
    #[cfg_attr(not(test), expect(dead_code, reason = "the identity says it better"))]
    pub duplicate: bool,
    /// The same when the broker brings the message again, also to another process; for QoS 1 and 2.
    pub identity: Option<CompactString>,
    /// MQTT 5 properties, if there were any.
    pub properties: Option<Box<Properties>>,
    /// Must be completed for the broker to be told; `None` for QoS 0.
    pub ack: Option<Ack>,
}

/// A message for the broker.
pub struct Outgoing {
    /// Where to publish; no wildcards.
    pub topic: ByteString,
    /// What to publish.
    pub payload: Bytes,
    /// Guarantee asked for.
    pub qos: Qos,
    /// Whether the broker keeps it for later subscribers.
    pub retain: bool,
    /// MQTT 5 properties; ignored on older connections.
    pub properties: Option<Box<Properties>>,
    /// Told once what became of the message, on the client thread: it must be quick.
    pub done: Option<Box<dyn FnOnce(PublishOutcome) + Send>>,
}

impl Outgoing {
    /// A message without properties that nobody waits for.
    #[must_use]
    pub fn new(topic: impl Into<ByteString>, payload: impl Into<Bytes>, qos: Qos) -> Self {
        Self { topic: topic.into(), payload: payload.into(), qos, retain: false, properties: None, done: None }
    }

    pub(super) fn finish(self, outcome: PublishOutcome) {
        if let Some(done) = self.done {
            done(outcome);
        }
    }
}

impl fmt::Debug for Outgoing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outgoing")
            .field("topic", &self.topic)
            .field("bytes", &self.payload.len())
            .field("qos", &self.qos)
            .field("retain", &self.retain)
            .finish_non_exhaustive()
    }
}

/// What became of an outgoing message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublishOutcome {
    /// QoS 0: handed to the network.
    Sent,
    /// QoS 1 and 2: the broker has it. MQTT 5 brokers may say 0x10, nobody subscribes to the topic.
    Acknowledged {
        /// MQTT 5 reason code, 0 on older connections.
        reason: u8,
    },
    /// The broker does not take it; trying again will not help.
    Refused {
        /// MQTT 5 reason code, or 0x90 when the topic itself is not valid.
        reason: u8,
    },
    /// It was given up: the queue was full while the broker was away, or the connection was closed.
    Dropped,
}
