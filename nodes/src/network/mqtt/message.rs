//! Messages as they cross between the client thread and the nodes.

use super::Ack;
use bytes::Bytes;
use bytestring::ByteString;
use std::fmt;

/// Delivery guarantee of a message.
#[allow(clippy::enum_variant_names, reason = "the words of the MQTT standard")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Qos {
    /// At most once.
    #[default]
    AtMostOnce,
    /// At least once.
    AtLeastOnce,
    /// Exactly once.
    ExactlyOnce,
}

impl Qos {
    /// The level as a number, `None` beyond 2.
    #[must_use]
    pub fn from_u8(level: u8) -> Option<Self> {
        match level {
            0 => Some(Self::AtMostOnce),
            1 => Some(Self::AtLeastOnce),
            2 => Some(Self::ExactlyOnce),
            _ => None,
        }
    }

    /// The level as MQTT numbers it.
    #[must_use]
    pub fn as_u8(self) -> u8 {
        self as u8
    }
}

/// MQTT 5 properties of a message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Properties {
    /// 1 when the payload is UTF-8 text.
    pub payload_format: Option<u8>,
    /// Seconds after which the message is of no use.
    pub message_expiry: Option<u32>,
    /// MIME type of the payload.
    pub content_type: Option<String>,
    /// Where an answer should go.
    pub response_topic: Option<String>,
    /// Ties an answer to its request.
    pub correlation_data: Option<Bytes>,
    /// Alias to send instead of the topic.
    pub topic_alias: Option<u16>,
    /// Key and value pairs that applications agreed on.
    pub user: Vec<(String, String)>,
    /// Subscriptions that brought the message; incoming only.
    pub subscription_ids: Vec<u32>,
}

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
    #[cfg_attr(not(test), expect(dead_code, reason = "nodes do not tell redelivered messages apart yet"))]
    pub duplicate: bool,
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
