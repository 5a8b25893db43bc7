//! Configuration of a broker connection, with Node-RED's property names.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use tidewire_model::Problem;
use tidewire_node_api::lenient;

use crate::network::mqtt::{
    ConnectionSettings, OnFailed, Properties, Protocol, Qos, TlsFiles, Will, is_valid_topic, tls_config,
};

/// What happens to a message of QoS 1 or 2 that a flow failed on.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Failed {
    /// The error goes to the catch nodes, and the broker is told that the message has been dealt with.
    #[default]
    Acknowledge,
    /// The broker delivers it again, after a growing pause. A message that always fails then holds up all others.
    Redeliver,
}

/// A connection to an MQTT broker.
///
/// It is opened when a node uses it, and opened again when it is lost. Messages that are sent meanwhile wait; those of
/// QoS 1 and 2 are kept until the broker has confirmed them.
///
/// With **Clean session** off and a client id, the broker keeps messages of QoS 1 and 2 while the connection is away.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct MqttBrokerConfig {
    /// Name or address of the broker, or a URL such as `mqtts://hub.example:8883`.
    #[schemars(length(min = 1), extend("x-widget" = "text"))]
    broker: String,
    /// TCP port; 1883, or 8883 with TLS.
    #[serde(deserialize_with = "lenient::text")]
    #[schemars(schema_with = "lenient::number_schema")]
    port: String,
    /// Connect as soon as a node uses it. Otherwise a message with `action` `connect` does.
    #[serde(deserialize_with = "lenient::boolean")]
    #[schemars(schema_with = "lenient::boolean_schema")]
    auto_connect: bool,
    /// Encrypt the connection.
    #[serde(deserialize_with = "lenient::boolean")]
    #[schemars(schema_with = "lenient::boolean_schema")]
    usetls: bool,
    /// Refuse a broker whose certificate is not valid.
    #[serde(rename = "verifyservercert", deserialize_with = "lenient::boolean")]
    #[schemars(schema_with = "lenient::boolean_schema")]
    verify: bool,
    /// Id of a TLS configuration node. Not supported yet: the certificates of the operating system are used.
    #[serde(skip_serializing_if = "String::is_empty")]
    tls: String,
    /// MQTT version: 4 is 3.1.1, 5 is 5.0.
    #[serde(deserialize_with = "lenient::text")]
    #[schemars(schema_with = "lenient::text_schema")]
    protocol_version: String,
    /// Name under which the broker knows this client; empty: a made-up one.
    clientid: String,
    /// Seconds between signs of life.
    #[serde(deserialize_with = "lenient::number")]
    #[schemars(schema_with = "lenient::number_schema")]
    keepalive: f64,
    /// Let the broker forget this client when the connection ends.
    #[serde(deserialize_with = "lenient::boolean")]
    #[schemars(schema_with = "lenient::boolean_schema")]
    cleansession: bool,
    /// Unsubscribe when a node stops.
    #[serde(deserialize_with = "lenient::boolean")]
    #[schemars(schema_with = "lenient::boolean_schema")]
    auto_unsubscribe: bool,
    /// What happens to a message of QoS 1 or 2 that a flow failed on.
    on_failed: Failed,
    /// MQTT 5: seconds for which the broker keeps the session.
    #[serde(deserialize_with = "lenient::optional_number")]
    #[schemars(schema_with = "lenient::number_schema")]
    session_expiry: Option<f64>,
    /// MQTT 5: user properties of the connection.
    #[schemars(extend("x-widget" = "json"))]
    user_props: Json,
    /// Published after each connect: topic. Empty: nothing.
    birth_topic: String,
    /// Published after each connect: QoS.
    #[serde(deserialize_with = "lenient::number")]
    #[schemars(schema_with = "lenient::number_schema")]
    birth_qos: f64,
    /// Published after each connect: kept by the broker.
    #[serde(deserialize_with = "lenient::boolean")]
    #[schemars(schema_with = "lenient::boolean_schema")]
    birth_retain: bool,
    /// Published after each connect: payload.
    #[serde(deserialize_with = "lenient::text")]
    #[schemars(schema_with = "lenient::text_schema")]
    birth_payload: String,
    /// Published after each connect: MQTT 5 properties.
    #[schemars(extend("x-widget" = "json"))]
    birth_msg: Json,
    /// Published before a wanted disconnect: topic. Empty: nothing.
    close_topic: String,
    /// Published before a wanted disconnect: QoS.
    #[serde(deserialize_with = "lenient::number")]
    #[schemars(schema_with = "lenient::number_schema")]
    close_qos: f64,
    /// Published before a wanted disconnect: kept by the broker.
    #[serde(deserialize_with = "lenient::boolean")]
    #[schemars(schema_with = "lenient::boolean_schema")]
    close_retain: bool,
    /// Published before a wanted disconnect: payload.
    #[serde(deserialize_with = "lenient::text")]
    #[schemars(schema_with = "lenient::text_schema")]
    close_payload: String,
    /// Published before a wanted disconnect: MQTT 5 properties.
    #[schemars(extend("x-widget" = "json"))]
    close_msg: Json,
    /// Published by the broker when the connection is lost: topic. Empty: nothing.
    will_topic: String,
    /// Published by the broker when the connection is lost: QoS.
    #[serde(deserialize_with = "lenient::number")]
    #[schemars(schema_with = "lenient::number_schema")]
    will_qos: f64,
    /// Published by the broker when the connection is lost: kept by the broker.
    #[serde(deserialize_with = "lenient::boolean")]
    #[schemars(schema_with = "lenient::boolean_schema")]
    will_retain: bool,
    /// Published by the broker when the connection is lost: payload.
    #[serde(deserialize_with = "lenient::text")]
    #[schemars(schema_with = "lenient::text_schema")]
    will_payload: String,
    /// Published by the broker when the connection is lost: MQTT 5 properties.
    #[schemars(extend("x-widget" = "json"))]
    will_msg: Json,
    /// User name, if the broker asks for one. Stored encrypted, never in the flow.
    #[serde(skip_serializing)]
    #[schemars(extend("x-widget" = "secret"))]
    user: Json,
    /// Password, if the broker asks for one. Stored encrypted, never in the flow.
    #[serde(skip_serializing)]
    #[schemars(extend("x-widget" = "secret"))]
    password: Json,
}

impl Default for MqttBrokerConfig {
    fn default() -> Self {
        let empty = || Json::Object(serde_json::Map::new());
        MqttBrokerConfig {
            broker: "127.0.0.1".to_owned(),
            port: "1883".to_owned(),
            auto_connect: true,
            usetls: false,
            verify: true,
            tls: String::new(),
            protocol_version: "4".to_owned(),
            clientid: String::new(),
            keepalive: 60.0,
            cleansession: true,
            auto_unsubscribe: true,
            on_failed: Failed::Acknowledge,
            session_expiry: None,
            user_props: empty(),
            birth_topic: String::new(),
            birth_qos: 0.0,
            birth_retain: false,
            birth_payload: String::new(),
            birth_msg: empty(),
            close_topic: String::new(),
            close_qos: 0.0,
            close_retain: false,
            close_payload: String::new(),
            close_msg: empty(),
            will_topic: String::new(),
            will_qos: 0.0,
            will_retain: false,
            will_payload: String::new(),
            will_msg: empty(),
            user: Json::Null,
            password: Json::Null,
        }
    }
}

/// Host, port and TLS, from a name or a URL.
struct Address {
    host: String,
    port: u16,
    tls: bool,
}

impl MqttBrokerConfig {
    pub(super) fn auto_connect(&self) -> bool {
        self.auto_connect
    }

    pub(super) fn is_local(&self) -> bool {
        matches!(self.broker.as_str(), "localhost" | "127.0.0.1")
    }

    /// All findings, warnings included.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut problems = self.settings().err().unwrap_or_default();
        if !self.cleansession && self.clientid.trim().is_empty() {
            let text = "without a client id the broker cannot keep a session; the session is a clean one";
            problems.push(Problem::warning("/clientid", text));
        }
        if self.usetls && !self.tls.is_empty() {
            let text =
                "TLS configuration nodes are not supported yet; the certificates of the operating system are used";
            problems.push(Problem::warning("/tls", text));
        }
        problems
    }

    /// Settings of the client, and whether it speaks MQTT 5.
    ///
    /// # Errors
    /// All findings.
    pub(super) fn settings(&self) -> Result<(ConnectionSettings, bool), Vec<Problem>> {
        let mut problems = Vec::new();
        let address = self.address().map_err(|problem| problems.push(problem)).ok();
        let version_5 = self.protocol_version.trim() == "5";
        let mut announce = |name: &str, topic: &str, qos: f64, retain: bool, payload: &str, extra: &Json| {
            if topic.is_empty() {
                return None;
            }
            if !is_valid_topic(topic) {
                let text = format!("\"{topic}\" is no topic to publish to: it must not hold + or #");
                problems.push(Problem::error(format!("/{name}Topic"), text));
                return None;
            }
            let properties = version_5.then(|| announced_properties(extra)).flatten();
            let delay = extra.get("willDelayInterval").or_else(|| extra.get("willDelay")).and_then(Json::as_u64);
            Some(Will {
                topic: topic.to_owned(),
                payload: payload.to_owned().into(),
                qos: Qos::from_u8(qos as u8).unwrap_or_default(),
                retain,
                properties,
                delay: delay.and_then(|seconds| u32::try_from(seconds).ok()),
            })
        };
        let birth = announce(
            "birth",
            &self.birth_topic,
            self.birth_qos,
            self.birth_retain,
            &self.birth_payload,
            &self.birth_msg,
        );
        let close = announce(
            "close",
            &self.close_topic,
            self.close_qos,
            self.close_retain,
            &self.close_payload,
            &self.close_msg,
        );
        let will =
            announce("will", &self.will_topic, self.will_qos, self.will_retain, &self.will_payload, &self.will_msg);
        let Some(address) = address.filter(|_| problems.is_empty()) else { return Err(problems) };
        let mut settings = ConnectionSettings::new(address.host, address.port);
        if address.tls {
            let files = TlsFiles { verify: self.verify, ..TlsFiles::default() };
            let tls = tls_config(&files).map_err(|error| vec![Problem::error("/usetls", error.to_string())])?;
            settings.tls = Some(Arc::clone(&tls));
        }
        settings.protocol = if version_5 { Protocol::V5 } else { Protocol::V4 };
        self.clientid.trim().clone_into(&mut settings.client_id);
        settings.keep_alive = self.keepalive.clamp(0.0, f64::from(u16::MAX)) as u16;
        settings.clean_session = self.cleansession || settings.client_id.is_empty();
        settings.session_expiry = self.session_expiry.filter(|seconds| *seconds > 0.0).map(|seconds| seconds as u32);
        settings.user_properties = pairs(&self.user_props);
        settings.on_failed = match self.on_failed {
            Failed::Acknowledge => OnFailed::Acknowledge,
            Failed::Redeliver => OnFailed::Redeliver,
        };
        (settings.birth, settings.close, settings.will) = (birth, close, will);
        Ok((settings, version_5))
    }

    fn address(&self) -> Result<Address, Problem> {
        let text = self.broker.trim();
        let refuse = |text: &str| Err(Problem::error("/broker", text));
        let (scheme, rest) = text.split_once("://").unwrap_or(("", text));
        let tls = match scheme {
            "" => self.usetls,
            "mqtt" | "tcp" => false,
            "mqtts" | "ssl" | "tls" => true,
            "ws" | "wss" => return refuse("WebSocket connections are not supported yet; use mqtt:// or mqtts://"),
            _ => return refuse("a URL starts with mqtt:// or mqtts://"),
        };
        let host_port = if scheme.is_empty() { rest } else { rest.split('/').next().unwrap_or(rest) };
        let (host, url_port) = match host_port.rsplit_once(':') {
            Some((host, port)) if !scheme.is_empty() => (host, Some(port)),
            _ => (host_port, None),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return refuse("the name or address of the broker is missing");
        }
        let usual = if tls { 8883 } else { 1883 };
        let port = match (url_port, self.port.trim(), scheme.is_empty()) {
            (Some(port), ..) => {
                port.parse().map_err(|_| Problem::error("/broker", format!("\"{port}\" is no port")))?
            }
            (None, "", _) | (None, _, false) => usual,
            (None, port, true) => {
                port.parse().map_err(|_| Problem::error("/port", format!("\"{port}\" is no port; use 1 to 65535")))?
            }
        };
        Ok(Address { host: host.to_owned(), port, tls })
    }
}

/// Key and value pairs of an object, or of the JSON text of one.
pub(crate) fn pairs(value: &Json) -> Vec<(String, String)> {
    let parsed;
    let value = match value {
        Json::String(text) => {
            parsed = serde_json::from_str(text).unwrap_or(Json::Null);
            &parsed
        }
        other => other,
    };
    let text = |value: &Json| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    value.as_object().into_iter().flatten().map(|(key, value)| (key.clone(), text(value))).collect()
}

fn announced_properties(extra: &Json) -> Option<Properties> {
    let text = |key| extra.get(key).and_then(Json::as_str).filter(|text| !text.is_empty()).map(str::to_owned);
    let properties = Properties {
        content_type: text("contentType"),
        response_topic: text("respTopic").or_else(|| text("responseTopic")),
        correlation_data: text("correl").or_else(|| text("correlationData")).map(Into::into),
        message_expiry: extra.get("expiry").and_then(Json::as_u64).and_then(|seconds| u32::try_from(seconds).ok()),
        user: extra.get("userProps").map(pairs).unwrap_or_default(),
        ..Properties::default()
    };
    (properties != Properties::default()).then_some(properties)
}
