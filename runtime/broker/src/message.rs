//! A message on its way through the broker, and how it is written for a client.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::{BufMut, Bytes, BytesMut};
use bytestring::ByteString;
use serde::{Deserialize, Serialize};
use tidewire_node_api::broker::{Publication, Qos, Sender};

use crate::packet::{Publish, Will};
use crate::properties::{self, OfMessage};
use crate::wire::{put_variable, variable_len};

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// A message. Shared by all its deliveries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Message {
    pub(crate) topic: ByteString,
    pub(crate) payload: Bytes,
    qos: u8,
    pub(crate) retain: bool,
    /// MQTT 5 properties as they came, without those of one hop.
    properties: Bytes,
    expires_at: Option<i64>,
    /// Who sent it, and waits for an answer.
    #[serde(skip)]
    pub(crate) sender: Option<Sender>,
}

impl Message {
    /// `sender` is of use at QoS 1 and 2.
    pub(crate) fn from_publish(publish: Publish, sender: Option<Sender>) -> Self {
        let message = Self::new(publish.topic, publish.payload, publish.qos, publish.retain, publish.of);
        Message { sender, ..message }
    }

    pub(crate) fn from_will(will: Will) -> Self {
        Self::new(will.topic, will.payload, will.qos, will.retain, will.of)
    }

    pub(crate) fn from_publication(publication: Publication) -> Self {
        let properties = publication.properties.unwrap_or_default();
        let of = OfMessage {
            passing: properties::to_passing(&properties),
            expiry: properties.message_expiry,
            ..OfMessage::default()
        };
        Self::new(publication.topic, publication.payload, publication.qos, publication.retain, of)
    }

    fn new(topic: ByteString, payload: Bytes, qos: Qos, retain: bool, of: OfMessage) -> Self {
        let expires_at = of.expiry.map(|seconds| now_ms().saturating_add(i64::from(seconds) * 1_000));
        Message { topic, payload, qos: qos.as_u8(), retain, properties: of.passing, expires_at, sender: None }
    }

    pub(crate) fn qos(&self) -> Qos {
        Qos::from_u8(self.qos).unwrap_or_default()
    }

    /// Bytes that it takes up, roughly.
    pub(crate) fn size(&self) -> usize {
        self.topic.len() + self.payload.len() + self.properties.len() + 64
    }

    pub(crate) fn is_expired(&self) -> bool {
        self.expires_at.is_some_and(|at| at <= now_ms())
    }

    /// Seconds for which it is still of use.
    fn expiry_left(&self) -> Option<u32> {
        let left = self.expires_at? - now_ms();
        Some(u32::try_from((left.max(0) + 999) / 1_000).unwrap_or(u32::MAX))
    }

    /// As a link gets it.
    pub(crate) fn to_publication(&self, qos: Qos, retain: bool, tags: &[u32]) -> Publication {
        let properties = if self.properties.is_empty() && self.expires_at.is_none() && tags.is_empty() {
            None
        } else {
            properties::from_passing(&self.properties, self.expiry_left(), tags)
        };
        Publication { topic: self.topic.clone(), payload: self.payload.clone(), qos, retain, properties }
    }
}

/// How one delivery of a message is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Writing<'a> {
    pub(crate) qos: Qos,
    pub(crate) retain: bool,
    pub(crate) duplicate: bool,
    pub(crate) packet_id: u16,
    pub(crate) tags: &'a [u32],
    pub(crate) version_5: bool,
}

impl Message {
    /// Appends the PUBLISH to `out`; says no when it would be larger than `max` bytes.
    pub(crate) fn write(&self, how: Writing<'_>, max: u32, out: &mut BytesMut) -> bool {
        let mut added = BytesMut::new();
        let mut length = 2 + self.topic.len() + self.payload.len();
        if how.qos != Qos::AtMostOnce {
            length += 2;
        }
        let mut properties_len = 0;
        if how.version_5 {
            properties::put_added(&mut added, self.expiry_left(), how.tags);
            properties_len = self.properties.len() + added.len();
            length += variable_len(properties_len) + properties_len;
        }
        if 1 + variable_len(length) + length > max as usize {
            return false;
        }
        out.reserve(5 + length);
        let flags = u8::from(how.duplicate) << 3 | how.qos.as_u8() << 1 | u8::from(how.retain);
        out.put_u8(0x30 | flags);
        put_variable(out, length);
        crate::wire::put_binary(out, self.topic.as_bytes());
        if how.qos != Qos::AtMostOnce {
            out.put_u16(how.packet_id);
        }
        if how.version_5 {
            put_variable(out, properties_len);
            out.put_slice(&self.properties);
            out.put_slice(&added);
        }
        out.put_slice(&self.payload);
        true
    }
}
