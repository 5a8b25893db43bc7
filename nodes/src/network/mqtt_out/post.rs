//! From a message of the flow to one for the broker.

use bytes::Bytes;
use bytestring::ByteString;
use tidewire_model::{Message, Value};

use super::MqttOutConfig;
use crate::network::mqtt::{Outgoing, Properties, Qos, is_valid_topic};
use crate::network::mqtt_broker::pairs;

/// What the node's configuration fixes for all messages.
pub(super) struct Fixed {
    topic: Option<ByteString>,
    qos: Option<Qos>,
    retain: Option<bool>,
    response_topic: Option<String>,
    content_type: Option<String>,
    user: Vec<(String, String)>,
    correlation: Option<Bytes>,
    expiry: Option<u32>,
}

/// Why a message is not sent.
pub(super) enum Unfit {
    /// It has no payload.
    Empty,
    /// Its topic cannot be published to.
    Topic(String),
}

fn given(text: &str) -> Option<String> {
    Some(text.trim()).filter(|text| !text.is_empty()).map(str::to_owned)
}

impl Fixed {
    pub(super) fn new(config: &MqttOutConfig) -> Fixed {
        Fixed {
            topic: given(&config.topic).map(ByteString::from),
            qos: config.qos.trim().parse().ok().and_then(Qos::from_u8),
            retain: match config.retain.trim() {
                "true" => Some(true),
                "false" => Some(false),
                _ => None,
            },
            response_topic: given(&config.resp_topic),
            content_type: given(&config.content_type),
            user: pairs(&config.user_props),
            correlation: given(&config.correl).map(Bytes::from),
            expiry: config.expiry.trim().parse().ok(),
        }
    }

    /// The message for the broker. Text, bytes and JSON that nobody has changed are not copied.
    ///
    /// # Errors
    /// It has no payload, or its topic cannot be published to.
    pub(super) fn outgoing(&self, message: &Message, version_5: bool) -> Result<Outgoing, Unfit> {
        let payload = match message.get("payload") {
            Some(payload) => bytes_of(payload),
            None => return Err(Unfit::Empty),
        };
        let topic = match (&self.topic, message.get("topic")) {
            (Some(topic), _) | (None, Some(Value::String(topic))) => topic.clone(),
            (None, Some(other)) => ByteString::from(other.to_text().as_ref()),
            (None, None) => ByteString::new(),
        };
        if !is_valid_topic(&topic) {
            return Err(Unfit::Topic(topic.to_string()));
        }
        let level = || message.get("qos").and_then(level).unwrap_or_default();
        let retain = || message.get("retain").is_some_and(truth);
        Ok(Outgoing {
            topic,
            payload,
            qos: self.qos.unwrap_or_else(level),
            retain: self.retain.unwrap_or_else(retain),
            properties: version_5.then(|| self.properties(message)).flatten(),
            done: None,
        })
    }

    fn properties(&self, message: &Message) -> Option<Box<Properties>> {
        let text = |fixed: &Option<String>, key| {
            fixed.clone().or_else(|| {
                message.get(key).filter(|value| !value.is_nullish()).map(|value| value.to_text().into_owned())
            })
        };
        let seconds = |value: &Value| u32::try_from(value.to_number() as i64).ok().filter(|seconds| *seconds > 0);
        let mut user = self.user.clone();
        if user.is_empty()
            && let Some(map) = message.get("userProperties").and_then(Value::as_object)
        {
            user = map.iter().map(|(key, value)| (key.to_owned(), value.to_text().into_owned())).collect();
        }
        let properties = Properties {
            response_topic: text(&self.response_topic, "responseTopic").filter(|topic| is_valid_topic(topic)),
            content_type: text(&self.content_type, "contentType"),
            correlation_data: self
                .correlation
                .clone()
                .or_else(|| message.get("correlationData").filter(|value| !value.is_nullish()).map(bytes_of)),
            message_expiry: self.expiry.or_else(|| message.get("messageExpiryInterval").and_then(seconds)),
            payload_format: message.get("payloadFormatIndicator").map(|value| u8::from(truth(value))),
            user,
            ..Properties::default()
        };
        (properties != Properties::default()).then(|| Box::new(properties))
    }
}

fn level(value: &Value) -> Option<Qos> {
    let number = value.to_number();
    if [0.0, 1.0, 2.0].contains(&number) { Qos::from_u8(number as u8) } else { None }
}

fn truth(value: &Value) -> bool {
    match value.as_str() {
        Some(text) => text == "true",
        None => value.is_truthy(),
    }
}

fn bytes_of(value: &Value) -> Bytes {
    match value {
        Value::Bytes(bytes) => bytes.clone(),
        Value::String(text) => text.as_bytes().clone(),
        Value::Json(lazy) => lazy.bytes().clone(),
        Value::Array(_) | Value::Object(_) => Bytes::from(value.to_json()),
        other => Bytes::from(other.to_text().into_owned()),
    }
}
