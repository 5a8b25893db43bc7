//! Configuration of `trigger`, with Node-RED's names.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value as Json;
use tidewire_model::Problem;
use tidewire_model::value::Path;
use tidewire_node_api::lenient;

use crate::shared::coerce::parse_float;
use crate::shared::held::Ack;
use crate::shared::typed_input::message_path;

/// Sends a message at once and another one later; or blocks, or sends again and again.
///
/// What it waits for is kept through restarts and deploys; what came due meanwhile is sent at once. Messages that come
/// while it waits are ignored, unless they extend the wait. Text may hold `{{properties}}` of the message.
///
/// A message with `reset`, or with the payload chosen below, ends the wait and nothing is sent.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct TriggerConfig {
    /// What is sent at once.
    #[schemars(extend(
        "x-widget" = "typed-input",
        "x-type-property" = "op1type",
        "x-types" = ["str", "num", "bool", "json", "bin", "date", "env", "msg", "flow", "global", "pay", "nul"]
    ))]
    pub(super) op1: Json,
    /// What is sent later.
    #[schemars(extend(
        "x-widget" = "typed-input",
        "x-type-property" = "op2type",
        "x-types" = ["str", "num", "bool", "json", "bin", "date", "env", "msg", "flow", "global", "pay", "payl", "nul"]
    ))]
    pub(super) op2: Json,
    /// Type of the first: also pay (the payload that came), nul (nothing), val (text, true, false or null).
    pub(super) op1type: String,
    /// Type of the second: also payl (the latest message).
    pub(super) op2type: String,
    /// How long it waits. 0 blocks until it is reset; a negative time sends the first message again and again.
    #[serde(deserialize_with = "duration")]
    #[schemars(schema_with = "lenient::number_schema")]
    pub(super) duration: f64,
    /// Unit of that time.
    #[schemars(extend("x-widget" = "select"))]
    pub(super) units: Units,
    /// Begin the wait anew with each message.
    #[serde(deserialize_with = "lenient::boolean", serialize_with = "as_text")]
    #[schemars(schema_with = "lenient::boolean_schema")]
    pub(super) extend: bool,
    /// Let `msg.delay` say how long it waits, in milliseconds.
    #[serde(rename = "overrideDelay", deserialize_with = "lenient::boolean", serialize_with = "as_text")]
    #[schemars(schema_with = "lenient::boolean_schema")]
    pub(super) override_delay: bool,
    /// Payload that ends the wait, as text.
    #[serde(deserialize_with = "lenient::text")]
    #[schemars(schema_with = "lenient::text_schema")]
    pub(super) reset: String,
    /// All messages together (`all`), or each topic for itself (`topic`).
    pub(super) bytopic: String,
    /// Property that tells topics apart.
    #[schemars(extend("x-widget" = "msg-path", "x-show" = { "bytopic": "topic" }))]
    pub(super) topic: String,
    /// Number of outputs. With 2, the second message leaves on the second.
    #[serde(deserialize_with = "lenient::number")]
    #[schemars(schema_with = "lenient::number_schema")]
    pub(super) outputs: f64,
    /// When the source of a message hears that it is in good hands.
    #[schemars(extend("x-widget" = "select"))]
    pub(super) ack: Ack,
}

/// Unit of the wait.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Units {
    /// Milliseconds.
    #[default]
    Ms,
    /// Seconds.
    S,
    /// Minutes.
    Min,
    /// Hours.
    Hr,
}

/// What waits for itself.
pub(super) enum ByTopic {
    All,
    Topic,
}

/// Wait where the flow says none, or none that is a number.
const DURATION: f64 = 250.0;

/// `parseFloat` of what stands there; what is no number means [`DURATION`].
fn duration<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let value = tidewire_model::Value::from(Json::deserialize(deserializer)?);
    Ok(parse_float(&value).unwrap_or(DURATION))
}

/// Node-RED writes these switches as text.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn as_text<S: Serializer>(value: &bool, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(if *value { "true" } else { "false" })
}

impl Default for TriggerConfig {
    fn default() -> Self {
        TriggerConfig {
            op1: Json::from("1"),
            op2: Json::from("0"),
            op1type: "str".to_owned(),
            op2type: "str".to_owned(),
            duration: DURATION,
            units: Units::default(),
            extend: false,
            override_delay: false,
            reset: String::new(),
            bytopic: "all".to_owned(),
            topic: "topic".to_owned(),
            outputs: 1.0,
            ack: Ack::default(),
        }
    }
}

impl TriggerConfig {
    pub(super) fn duration_ms(&self) -> f64 {
        self.duration
            * match self.units {
                Units::Ms => 1.0,
                Units::S => 1_000.0,
                Units::Min => 60_000.0,
                Units::Hr => 3_600_000.0,
            }
    }

    pub(super) fn by_topic(&self) -> ByTopic {
        if self.bytopic.is_empty() || self.bytopic == "all" { ByTopic::All } else { ByTopic::Topic }
    }

    pub(super) fn topic_path(&self) -> Result<Path, Problem> {
        message_path(if self.topic.is_empty() { "topic" } else { &self.topic }, "/topic")
    }
}
