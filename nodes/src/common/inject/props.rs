//! The properties of an injected message.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use tidewire_model::value::{Path, to_json_value};
use tidewire_model::{Message, Problem, Value};
use tidewire_node_api::Ctx;

use crate::shared::typed_input::{Operand, message_path};

/// One property of the message.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Prop {
    /// Where it goes, such as `payload` or `payload.level`.
    #[schemars(extend("x-widget" = "msg-path"))]
    p: String,
    /// Its value. A payload or topic without a value takes the node's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("x-widget" = "typed-input", "x-type-property" = "vt",
        "x-types" = ["date", "str", "num", "bool", "json", "bin", "flow", "global", "env"]))]
    v: Option<Json>,
    /// Type of the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    vt: Option<String>,
}

impl Prop {
    pub(super) fn named(p: &str, vt: Option<&str>) -> Prop {
        Prop { p: p.to_owned(), v: None, vt: vt.map(str::to_owned) }
    }
}

/// Payload and topic as they stood before there was a list.
pub(super) struct Legacy {
    pub(super) topic: Json,
    pub(super) payload: Json,
    pub(super) payload_type: Option<String>,
}

/// Compiled properties, in order.
pub(super) struct Props(Vec<(Path, Operand)>);

impl Props {
    /// Compiles the list; without one, payload and topic are set.
    ///
    /// # Errors
    /// All findings.
    pub(super) fn compile(list: Option<&[Prop]>, legacy: &Legacy) -> Result<Props, Vec<Problem>> {
        let usual = [Prop::named("payload", None), Prop::named("topic", Some("str"))];
        let list = list.unwrap_or(&usual);
        let (mut compiled, mut problems) = (Vec::with_capacity(list.len()), Vec::new());
        for (index, prop) in list.iter().enumerate() {
            if prop.p.is_empty() {
                continue;
            }
            let kind = prop.vt.as_deref();
            let (value, kind, at) = match (&prop.v, prop.p.as_str(), kind) {
                (None, "payload", _) => (&legacy.payload, legacy.kind(), "/payload".to_owned()),
                (None, "topic", None | Some("str")) => (&legacy.topic, "str", "/topic".to_owned()),
                (value, _, kind) => {
                    (value.as_ref().unwrap_or(&Json::Null), kind.unwrap_or("str"), format!("/props/{index}/v"))
                }
            };
            // An empty expression is skipped, as in Node-RED.
            if kind == "jsonata" && crate::shared::typed_input::config_text(value).is_empty() {
                continue;
            }
            let kind = if kind == "none" { "str" } else { kind };
            let path = message_path(&prop.p, &format!("/props/{index}/p"));
            match (path, Operand::compile(value, kind, &at)) {
                (Ok(path), Ok(operand)) => compiled.push((path, operand)),
                (path, operand) => problems.extend(path.err().into_iter().chain(operand.err())),
            }
        }
        if problems.is_empty() { Ok(Props(compiled)) } else { Err(problems) }
    }

    /// Compiles a list that came with a message.
    ///
    /// # Errors
    /// All findings, as one text.
    pub(super) fn from_message(list: &[Value]) -> Result<Props, String> {
        let list = list
            .iter()
            .map(|item| serde_json::from_value(to_json_value(item)))
            .collect::<Result<Vec<Prop>, _>>()
            .map_err(|error| format!("the properties given for this one time cannot be read: {error}"))?;
        let legacy = Legacy { topic: Json::Null, payload: Json::Null, payload_type: Some("str".to_owned()) };
        Props::compile(Some(&list), &legacy)
            .map_err(|problems| problems.into_iter().map(|problem| problem.text).collect::<Vec<_>>().join("; "))
    }

    pub(super) fn start(&mut self, ctx: &Ctx<'_>) {
        self.0.iter_mut().for_each(|(_, operand)| operand.start(ctx));
    }

    /// Sets all properties.
    ///
    /// # Errors
    /// Those that could not be set, joined; the others are set.
    pub(super) fn apply(&self, message: &mut Message, now_ms: i64) -> Result<(), String> {
        let mut errors = Vec::new();
        for (path, operand) in &self.0 {
            let value = operand.value(message, now_ms).into_owned();
            if !message.set_path(path, value, true) {
                errors.push(format!("msg.{path} cannot be set: what it stands in is no object"));
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(errors.join("; ")) }
    }
}
