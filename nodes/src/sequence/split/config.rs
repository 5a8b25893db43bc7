//! Configuration of `split`, with Node-RED's names.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire_model::Problem;
use tidewire_node_api::lenient;

use super::super::parts::{bytes, unescaped};
use super::pieces::Separator;
use crate::shared::held::Ack;

/// Takes a message apart into a sequence of messages.
///
/// Text and bytes are cut at a separator or into pieces of a length, arrays into items or groups of items, objects into
/// properties. Each part is a message of its own and tells its place in `msg.parts`; join puts them together again.
///
/// As a stream, what is left over at the end goes before the next message; it is kept through restarts.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct SplitConfig {
    /// Separator of text and bytes (`\n`, `\r` and `\t` are known; bytes as `[13,10]`), or length of the pieces.
    #[serde(deserialize_with = "lenient::text")]
    #[schemars(schema_with = "lenient::text_schema")]
    splt: String,
    /// How text and bytes are cut.
    #[schemars(extend("x-widget" = "select"))]
    splt_type: SplitType,
    /// Items of an array in each part; one item is sent as it is.
    #[serde(deserialize_with = "lenient::number")]
    #[schemars(schema_with = "lenient::number_schema")]
    array_splt: f64,
    /// How arrays are cut: `len`.
    #[schemars(extend("x-widget" = "hidden"))]
    array_splt_type: String,
    /// What is left over goes before the next message.
    #[serde(deserialize_with = "lenient::boolean")]
    #[schemars(schema_with = "lenient::boolean_schema")]
    pub(super) stream: bool,
    /// Property that takes the name of each property of an object; empty for none.
    #[schemars(extend("x-widget" = "msg-path"))]
    pub(super) addname: String,
    /// What is taken apart.
    #[schemars(extend("x-widget" = "msg-path"))]
    pub(super) property: String,
    /// When the source of a message hears that what is left of it is in good hands.
    #[schemars(extend("x-widget" = "select", "x-show" = { "stream": true }))]
    pub(super) ack: Ack,
}

/// How text and bytes are cut.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum SplitType {
    /// At text.
    #[default]
    Str,
    /// At bytes.
    Bin,
    /// Into pieces of a length.
    Len,
}

impl Default for SplitConfig {
    fn default() -> Self {
        SplitConfig {
            splt: "\\n".to_owned(),
            splt_type: SplitType::default(),
            array_splt: 1.0,
            array_splt_type: "len".to_owned(),
            stream: false,
            addname: String::new(),
            property: "payload".to_owned(),
            ack: Ack::default(),
        }
    }
}

/// A length from 1.
fn length(number: f64, at: &str) -> Result<usize, Problem> {
    if number >= 1.0 { Ok(number as usize) } else { Err(Problem::error(at, "a length is 1 or more")) }
}

impl SplitConfig {
    pub(super) fn separator(&self) -> Result<Separator, Problem> {
        match self.splt_type {
            SplitType::Str => Ok(Separator::Text(unescaped(if self.splt.is_empty() { "\\n" } else { &self.splt }))),
            SplitType::Bin => match bytes(&self.splt, "/splt")? {
                bytes if bytes.is_empty() => Err(Problem::error("/splt", "a separator has at least one byte")),
                bytes => Ok(Separator::Bytes(bytes)),
            },
            SplitType::Len => length(self.splt.trim().parse().unwrap_or(0.0), "/splt").map(Separator::Length),
        }
    }

    pub(super) fn array_len(&self) -> Result<usize, Problem> {
        length(self.array_splt, "/arraySplt")
    }
}
