//! Configuration of `join`, with Node-RED's names.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire_model::value::Path;
use tidewire_model::{Problem, Value};
use tidewire_node_api::lenient;

use super::super::parts::{bytes, unescaped};
use crate::shared::held::Ack;
use crate::shared::typed_input::message_path;

/// Puts the messages of a sequence together to one.
///
/// Automatic undoes a split: `msg.parts` says how many messages belong together, and how. Custom collects as chosen
/// here, until there are enough, the time is over, or a message has `complete`. The result carries the properties of all
/// its messages; later ones win.
///
/// Sequences that are not complete are kept through restarts and deploys. A message with `reset` drops what was
/// collected, one with `restartTimeout` lets the time begin anew.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct JoinConfig {
    /// How messages are put together.
    #[schemars(extend("x-widget" = "select"))]
    pub(super) mode: Mode,
    /// What they become.
    #[serde(default = "old_build")]
    #[schemars(extend("x-widget" = "select", "x-show" = { "mode": "custom" }))]
    pub(super) build: Build,
    /// What is put together.
    #[schemars(extend(
        "x-widget" = "typed-input",
        "x-type-property" = "propertyType",
        "x-types" = ["msg", "full"],
        "x-show" = { "mode": "custom" }
    ))]
    property: String,
    /// A property (`msg`) or the whole message (`full`).
    property_type: String,
    /// Property whose value names each value of the object.
    #[schemars(extend("x-widget" = "msg-path", "x-show" = { "build": "object" }))]
    pub(super) key: String,
    /// What stands between them: text (`\n` is known), or bytes such as `[13,10]`.
    #[serde(default, deserialize_with = "lenient::text")]
    #[schemars(schema_with = "lenient::text_schema", extend("x-show" = { "build": ["string", "buffer"] }))]
    joiner: String,
    /// Text (`str`) or bytes (`bin`).
    joiner_type: String,
    /// Use `msg.parts` as it came; else it is taken off first.
    #[serde(default = "yes", deserialize_with = "lenient::boolean")]
    #[schemars(schema_with = "lenient::boolean_schema", extend("x-show" = { "mode": "custom" }))]
    pub(super) useparts: bool,
    /// Number of messages, or of properties of an object. Empty: as many as `msg.parts` says.
    #[serde(default = "no_count", deserialize_with = "lenient::optional_number")]
    #[schemars(schema_with = "lenient::number_schema", extend("x-show" = { "mode": "custom" }))]
    count: Option<f64>,
    /// Seconds from the first message to the latest moment at which the result is sent. Empty: any time.
    #[serde(deserialize_with = "lenient::optional_number")]
    #[schemars(schema_with = "lenient::number_schema", extend("x-widget" = "duration", "x-show" = { "mode": "custom" }))]
    timeout: Option<f64>,
    /// Once complete, send the grown result with every further message.
    #[serde(deserialize_with = "lenient::boolean")]
    #[schemars(schema_with = "lenient::boolean_schema", extend("x-show" = { "mode": "custom" }))]
    pub(super) accumulate: bool,
    /// When the source of a message hears that it is in good hands.
    #[schemars(extend("x-widget" = "select"))]
    pub(super) ack: Ack,
}

/// How messages are put together.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Mode {
    /// As `msg.parts` says.
    #[default]
    Auto,
    /// As chosen here.
    Custom,
    /// By a JSONata expression: not supported yet.
    Reduce,
}

/// What messages become.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Build {
    /// An object, each value under a name of its own.
    #[default]
    Object,
    /// An array.
    Array,
    /// Text.
    String,
    /// Bytes.
    Buffer,
    /// One object with the properties of all.
    Merged,
}

/// What a flow means that says nothing.
fn old_build() -> Build {
    Build::Array
}

fn yes() -> bool {
    true
}

/// A count that is missing is none; one that is blank is that of `msg.parts`.
#[allow(clippy::unnecessary_wraps, reason = "serde wants the type of the field")]
fn no_count() -> Option<f64> {
    Some(0.0)
}

impl Default for JoinConfig {
    fn default() -> Self {
        JoinConfig {
            mode: Mode::default(),
            build: Build::default(),
            property: "payload".to_owned(),
            property_type: "msg".to_owned(),
            key: "topic".to_owned(),
            joiner: "\\n".to_owned(),
            joiner_type: "str".to_owned(),
            useparts: false,
            count: None,
            timeout: None,
            accumulate: false,
            ack: Ack::default(),
        }
    }
}

impl JoinConfig {
    pub(super) fn is_full(&self) -> bool {
        self.property_type == "full"
    }

    /// The property that the result goes to.
    pub(super) fn target(&self) -> Result<(Path, String), Problem> {
        let text = if self.is_full() || self.property.is_empty() { "payload" } else { &self.property };
        Ok((message_path(text, "/property")?, text.to_owned()))
    }

    pub(super) fn key_path(&self) -> Result<Path, Problem> {
        message_path(if self.key.is_empty() { "topic" } else { &self.key }, "/key")
    }

    pub(super) fn glue(&self) -> Result<Value, Problem> {
        if self.joiner_type == "bin" {
            let text = if self.joiner.is_empty() { "[]" } else { &self.joiner };
            return bytes(text, "/joiner").map(Value::Bytes);
        }
        Ok(Value::from(unescaped(&self.joiner)))
    }

    /// Longest time from the first message of a group to its result; 0 is any.
    pub(super) fn timeout_ms(&self) -> f64 {
        if self.mode == Mode::Auto { 0.0 } else { self.timeout.unwrap_or(0.0) * 1_000.0 }
    }

    pub(super) fn count_number(&self) -> f64 {
        self.count.unwrap_or(0.0)
    }

    pub(super) fn count_is_blank(&self) -> bool {
        self.count.is_none()
    }
}
