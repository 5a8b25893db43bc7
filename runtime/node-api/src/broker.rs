//! The MQTT broker within this process, for nodes that need no socket to reach it, and the words of MQTT.
//!
//! A link works like a connection: it is opened, requests go one way and notices come the other, both in batches and
//! without waiting. What a device published at QoS 1 or 2 is acknowledged to it only when the links that got it have
//! said how it ended.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use bytestring::ByteString;

use crate::handles::BoxFuture;

/// Delivery guarantee of a message.
#[allow(clippy::enum_variant_names, reason = "the words of the MQTT standard")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[repr(u8)]
pub enum Qos {
    /// At most once.
    #[default]
    AtMostOnce = 0,
    /// At least once.
    AtLeastOnce = 1,
    /// Exactly once.
    ExactlyOnce = 2,
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

/// A message on its way through the broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publication {
    pub topic: ByteString,
    pub payload: Bytes,
    pub qos: Qos,
    pub retain: bool,
    pub properties: Option<Box<Properties>>,
}

/// The device's own words about a message of QoS 1 or 2: with them a message that it sends again can be recognised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sender {
    pub device: Arc<Device>,
    pub packet_id: u16,
    /// It may have sent the message before.
    pub duplicate: bool,
    /// Which of its messages of QoS 1 and 2 it is, counted from 1 in the life of the broker.
    pub number: u64,
}

/// A client that publishes, and how far it has been answered. The answers go out in the order of the messages.
#[derive(Debug)]
pub struct Device {
    client_id: Arc<str>,
    answered: AtomicU64,
}

impl Device {
    /// One that has been answered nothing.
    #[must_use]
    pub fn new(client_id: Arc<str>) -> Self {
        Self { client_id, answered: AtomicU64::new(0) }
    }

    #[must_use]
    pub fn client_id(&self) -> &Arc<str> {
        &self.client_id
    }

    /// The operating system has taken the answers up to this message for the device's socket.
    pub fn set_answered(&self, number: u64) {
        self.answered.fetch_max(number, Ordering::Release);
    }

    /// Whether the answer to this message is on its way to the device. Until then a crash takes it away, and the device
    /// sends the message again.
    #[must_use]
    pub fn is_answered(&self, number: u64) -> bool {
        number <= self.answered.load(Ordering::Acquire)
    }
}

impl PartialEq for Device {
    fn eq(&self, other: &Self) -> bool {
        self.client_id == other.client_id
    }
}

impl Eq for Device {}

/// Who opens a link.
#[derive(Debug, Clone, Default)]
pub struct LinkSettings {
    /// Empty: the broker makes one up.
    pub client_id: String,
    pub username: Option<String>,
    pub password: Option<String>,
    /// Start without what the broker kept for this client.
    pub clean_start: bool,
    /// Seconds for which the broker keeps the session after the link has ended; `u32::MAX` is for ever.
    pub session_expiry: u32,
    /// Published when the link ends without a goodbye.
    pub will: Option<Publication>,
}

/// What a link is asked to do.
#[derive(Debug)]
pub enum LinkRequest {
    /// The answer comes as [`LinkNotice::Subscribed`] with the same `id`.
    Subscribe {
        id: u64,
        filter: String,
        qos: Qos,
        no_local: bool,
        retain_as_published: bool,
        /// 0 always, 1 with a new subscription only, 2 never.
        retain_handling: u8,
        /// Tags the messages that this subscription brings.
        tag: Option<u32>,
    },
    Unsubscribe {
        filter: String,
    },
    /// At QoS 1 and 2 the answer comes as [`LinkNotice::Published`] with the same `id`.
    Publish {
        id: u64,
        publication: Publication,
    },
    /// A message that the link brought has been dealt with.
    Acknowledge {
        id: u64,
    },
    /// Ends the link. With `keep` what is not acknowledged comes again when the same client opens the next one; without
    /// it that depends on the session, and what no session keeps counts as lost.
    Close {
        keep: bool,
    },
}

/// What a link tells.
#[derive(Debug)]
pub enum LinkNotice {
    Opened {
        /// The broker kept the session of an earlier link.
        session_present: bool,
    },
    /// With an `id` it has to be acknowledged.
    Message {
        id: Option<u64>,
        publication: Publication,
        /// Who sent it, where it is known.
        sender: Option<Sender>,
        /// The link, or an earlier one of the same client, had it before.
        duplicate: bool,
    },
    Subscribed {
        id: u64,
        /// The granted guarantee, or the reason code of a refusal.
        answer: Result<Qos, u8>,
    },
    /// Reason codes as MQTT 5 has them; below 0x80 the broker took over.
    Published { id: u64, reason: u8 },
    /// The link is over.
    Closed { reason: String },
}

/// The broker within this process.
pub trait LocalBroker: Send + Sync {
    /// Whether a connection to this address would end at it.
    fn is_at(&self, host: &str, port: u16) -> bool;

    /// It answers within the call, and no message ever comes from it: whoever uses it needs no thread to wait for it.
    /// Every connection ends at such a broker, also one that would be encrypted.
    fn is_instant(&self) -> bool {
        false
    }

    /// A link that is not open yet. Until it is settled or dropped the broker takes no messages from devices after its
    /// start, so that none passes those who want it.
    fn link(&self) -> Arc<dyn LocalLink>;
}

/// A way to the broker within this process. Dropping it ends it without a goodbye.
pub trait LocalLink: Send + Sync {
    /// Opens it; one that is open already is opened anew.
    fn open(&self, settings: LinkSettings);

    /// Hands over requests, all of them, in order.
    fn send(&self, requests: &mut Vec<LinkRequest>);

    /// Takes what has come.
    fn take(&self, notices: &mut VecDeque<LinkNotice>);

    /// Resolves when something has come. Only one may wait.
    fn changed(&self) -> BoxFuture<()>;

    /// What it subscribes to at its start has been asked for.
    fn settled(&self);

    /// Messages of QoS 0 that had to be dropped because they were not taken.
    fn dropped(&self) -> u64;
}
