//! What a connection is opened with.

use super::{Outgoing, Properties, Qos};
use bytes::Bytes;
use std::{fmt, sync::Arc, time::Duration};

/// MQTT version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocol {
    /// MQTT 3.1.1. Node-RED's protocol versions 3 and 4: no broker in use needs 3.1 any more.
    #[default]
    V4,
    /// MQTT 5.
    V5,
}

/// What happens to a message of QoS 1 or 2 whose processing failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnFailed {
    /// It is not acknowledged: the connection is closed and opened again after a growing pause, so that the broker
    /// delivers it once more. Without a session that the broker keeps nothing would come again; then it is acknowledged.
    #[default]
    Redeliver,
    /// It is acknowledged like any other.
    Acknowledge,
}

/// Message that the broker publishes when the connection is lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Will {
    /// Where to publish.
    pub topic: String,
    /// What to publish.
    pub payload: Bytes,
    /// Guarantee.
    pub qos: Qos,
    /// Whether it is kept for later subscribers.
    pub retain: bool,
    /// MQTT 5 properties.
    pub properties: Option<Properties>,
    /// MQTT 5: seconds that the broker waits for the client to come back.
    pub delay: Option<u32>,
}

/// A broker and how to talk to it.
#[derive(Clone)]
pub struct ConnectionSettings {
    /// Name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// TLS, if wanted.
    pub tls: Option<Arc<rustls::ClientConfig>>,
    /// MQTT version.
    pub protocol: Protocol,
    /// Client id; empty: one is made up.
    pub client_id: String,
    /// User name, if the broker asks for one.
    pub username: Option<String>,
    /// Password, if the broker asks for one.
    pub password: Option<String>,
    /// Seconds between signs of life; 0 sends none.
    pub keep_alive: u16,
    /// Whether the broker forgets everything about the client when it connects.
    pub clean_session: bool,
    /// MQTT 5: seconds for which the broker keeps the session of a client that is away.
    pub session_expiry: Option<u32>,
    /// MQTT 5: user properties of the CONNECT.
    pub user_properties: Vec<(String, String)>,
    /// Published by the broker when the connection is lost.
    pub will: Option<Will>,
    /// Published after each connect.
    pub birth: Option<Will>,
    /// Published before a wanted disconnect.
    pub close: Option<Will>,
    /// Largest packet in either direction, in bytes.
    pub packet_bytes_max: u32,
    /// Messages that wait for the broker before `publish` says full.
    pub outgoing_max: usize,
    /// QoS 0 messages that wait for one slow subscriber before the oldest is dropped.
    pub backlog_max: usize,
    /// Messages of QoS 1 and 2 under way to the broker.
    pub inflight_max: u16,
    /// Shortest pause before a reconnect.
    pub reconnect_min: Duration,
    /// Longest pause before a reconnect.
    pub reconnect_max: Duration,
    /// What happens when processing fails.
    pub on_failed: OnFailed,
}

impl ConnectionSettings {
    /// Node-RED's defaults for a broker.
    #[must_use]
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
            tls: None,
            protocol: Protocol::V4,
            client_id: String::new(),
            username: None,
            password: None,
            keep_alive: 60,
            clean_session: true,
            session_expiry: None,
            user_properties: Vec::new(),
            will: None,
            birth: None,
            close: None,
            packet_bytes_max: 1024 * 1024,
            outgoing_max: 16_384,
            backlog_max: 8_192,
            inflight_max: 100,
            reconnect_min: Duration::from_millis(250),
            reconnect_max: Duration::from_secs(15),
            on_failed: OnFailed::Redeliver,
        }
    }

    /// Whether unacknowledged messages come again after a reconnect.
    pub(super) fn broker_keeps_session(&self) -> bool {
        !self.clean_session && (self.protocol == Protocol::V4 || self.session_expiry.is_none_or(|seconds| seconds > 0))
    }
}

impl fmt::Debug for ConnectionSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConnectionSettings")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("protocol", &self.protocol)
            .field("client_id", &self.client_id)
            .field("clean_session", &self.clean_session)
            .finish_non_exhaustive()
    }
}

impl Will {
    pub(super) fn to_outgoing(&self) -> Outgoing {
        Outgoing {
            topic: self.topic.as_str().into(),
            payload: self.payload.clone(),
            qos: self.qos,
            retain: self.retain,
            properties: self.properties.clone().map(Box::new),
            done: None,
        }
    }
}

/// Why a connection could not be set up. A broker that is away is no error: that shows as a state.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting that the library does not take.
    #[error("cannot set up the MQTT connection: {reason}")]
    Settings {
        /// What is wrong.
        reason: String,
    },
    /// A certificate or key that cannot be used.
    #[error("cannot use the TLS {what}: {reason}")]
    Tls {
        /// Which one.
        what: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The operating system refused a thread.
    #[error("cannot start the MQTT client thread: {0}")]
    Thread(#[from] std::io::Error),
}
