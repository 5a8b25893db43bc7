//! What a trigger sends: nothing, what came, or a value.

use serde_json::Value as Json;
use tidewire_model::{Message, Problem, Value};
use tidewire_node_api::{Ctx, NodeError};
use tidewire_script::{Escape, Template};

use crate::shared::typed_input::Operand;

#[derive(Debug)]
pub(super) enum Output {
    Nothing,
    /// The payload as it came.
    Payload,
    /// The latest message, whole.
    Latest,
    Template(Template),
    Value {
        operand: Operand,
        /// Read again when it is sent: it may have changed by then.
        later: bool,
    },
}

/// JavaScript's `given || default`.
fn or(given: &Json, default: &str) -> Json {
    match given {
        Json::Null | Json::Bool(false) => Json::from(default),
        Json::String(text) if text.is_empty() => Json::from(default),
        Json::Number(number) if number.as_f64() == Some(0.0) => Json::from(default),
        given => given.clone(),
    }
}

impl Output {
    /// The message that is sent at once.
    pub(super) fn first(value: &Json, kind: &str) -> Result<Output, Problem> {
        match Output::compile(&or(value, "1"), kind, "1", "/op1")? {
            Output::Latest => Ok(Output::Payload),
            other => Ok(other),
        }
    }

    /// The message that is sent later.
    pub(super) fn then(value: &Json, kind: &str) -> Result<Output, Problem> {
        Output::compile(&or(value, "0"), kind, "0", "/op2")
    }

    fn compile(value: &Json, kind: &str, default: &str, at: &str) -> Result<Output, Problem> {
        let constant = |value: Value| Ok(Output::Value { operand: Operand::Const(value), later: false });
        let kind = match (kind, value.as_str()) {
            ("nul", _) => return Ok(Output::Nothing),
            ("pay", _) => return Ok(Output::Payload),
            ("payl", _) => return Ok(Output::Latest),
            ("val", Some("null")) | ("null", _) => return constant(Value::Null),
            ("val", Some("true" | "false")) => "bool",
            ("val" | "", _) => "str",
            (kind, _) => kind,
        };
        if kind == "date" && value.as_str() == Some(default) {
            return Ok(Output::Value { operand: Operand::compile(&Json::from(""), kind, at)?, later: true });
        }
        match value.as_str() {
            Some(text) if kind == "str" && text.contains("{{") => {
                Template::parse(text).map(Output::Template).map_err(|error| Problem::error(at, error.to_string()))
            }
            _ => {
                let later = matches!(kind, "flow" | "global" | "date");
                Ok(Output::Value { operand: Operand::compile(value, kind, at)?, later })
            }
        }
    }

    pub(super) fn is_nothing(&self) -> bool {
        matches!(self, Output::Nothing)
    }

    pub(super) fn is_latest(&self) -> bool {
        matches!(self, Output::Latest)
    }

    pub(super) fn start(&mut self, ctx: &Ctx<'_>) {
        if let Output::Value { operand, .. } = self {
            operand.start(ctx);
        }
    }

    /// The payload to send for this message; none if it has no say in it.
    pub(super) fn payload(&self, message: &Message, ctx: &Ctx<'_>) -> Result<Option<Value>, NodeError> {
        match self {
            Output::Nothing | Output::Latest => Ok(None),
            Output::Payload => Ok(Some(message.payload().clone())),
            Output::Template(template) => {
                let text = template.render(&|key| message.get(key).cloned(), Escape::Html);
                text.map(|text| Some(Value::from(text))).map_err(|error| NodeError::new(error.to_string()))
            }
            Output::Value { operand, .. } => Ok(Some(operand.value(message, ctx.now_ms()).into_owned())),
        }
    }

    /// The payload if it has to be read again as the message is sent.
    pub(super) fn payload_later(&self, message: &Message, ctx: &Ctx<'_>) -> Result<Option<Value>, NodeError> {
        match self {
            Output::Value { later: true, .. } => self.payload(message, ctx),
            _ => Ok(None),
        }
    }
}
