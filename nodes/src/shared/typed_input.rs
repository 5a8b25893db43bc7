//! Typed inputs: a value with a type, compiled when the node is built.
//!
//! Kinds that need what the runtime does not offer yet are refused with a problem, never skipped.

use std::borrow::Cow;

use bytes::Bytes;
use compact_str::CompactString;
use serde_json::Value as Json;
use tidewire_model::flow::substitute;
use tidewire_model::value::Path;
use tidewire_model::{Message, Problem, Value};
use tidewire_node_api::{ContextScope, Ctx};

use super::context_key::ContextKey;

/// A compiled typed input.
#[derive(Debug, Clone)]
pub(crate) enum Operand {
    Const(Value),
    Msg(Path),
    /// The time of reading.
    Date(DateForm),
    /// An environment variable, or text with variables; becomes a constant at [`Operand::start`].
    Env(CompactString),
    /// A value that nodes share.
    Context(Box<ContextKey>),
    /// Value of the previous message (switch only).
    Previous,
}

/// How a `date` operand is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DateForm {
    Millis,
    Iso,
    Object,
}

/// Parses a message path; a leading `msg.` is dropped.
///
/// # Errors
/// What is wrong with the path, as a problem at `at`.
pub(crate) fn message_path(text: &str, at: &str) -> Result<Path, Problem> {
    Path::parse(text.strip_prefix("msg.").unwrap_or(text)).map_err(|error| Problem::error(at, error.to_string()))
}

/// The problem of a kind that is known but not offered.
pub(crate) fn comes_later(kind: &str, at: &str) -> Problem {
    let what = match kind {
        "jsonata" => "JSONata expressions are",
        other => return Problem::error(at, format!("values of type \"{other}\" are not known here")),
    };
    Problem::error(at, format!("{what} not supported yet; use a value of another type (such as msg, str or num)"))
}

/// Text of a configuration value: strings as they are, everything else as JSON.
pub(crate) fn config_text(value: &Json) -> Cow<'_, str> {
    match value {
        Json::String(text) => Cow::Borrowed(text),
        Json::Null => Cow::Borrowed(""),
        other => Cow::Owned(other.to_string()),
    }
}

impl Operand {
    /// Compiles the value of kind `kind`. `at` is the JSON pointer of the property, for problems.
    ///
    /// # Errors
    /// The value does not fit its kind, or the kind is not supported.
    pub(crate) fn compile(value: &Json, kind: &str, at: &str) -> Result<Operand, Problem> {
        let text = config_text(value);
        Ok(match kind {
            "str" | "re" | "conf-type" => Operand::Const(Value::string(&*text)),
            "num" => Operand::Const(number(&text)),
            "bool" => Operand::Const(Value::Bool(text.eq_ignore_ascii_case("true"))),
            "json" => Operand::Const(json(value, at)?),
            "bin" => Operand::Const(Value::Bytes(bytes(value, at)?)),
            "msg" => Operand::Msg(message_path(&text, at)?),
            "env" => Operand::Env(CompactString::new(&*text)),
            "flow" => Operand::Context(Box::new(ContextKey::parse(ContextScope::Flow, &text, at)?)),
            "global" => Operand::Context(Box::new(ContextKey::parse(ContextScope::Global, &text, at)?)),
            "prev" => Operand::Previous,
            "date" => Operand::Date(match &*text {
                "iso" => DateForm::Iso,
                "object" => DateForm::Object,
                text if text.is_empty() || text.bytes().all(|b| b.is_ascii_digit()) => DateForm::Millis,
                other => {
                    let text = format!("the date format \"{other}\" is not supported yet; use empty, iso or object");
                    return Err(Problem::error(at, text));
                }
            }),
            other => return Err(comes_later(other, at)),
        })
    }

    /// Called when the node starts: environment variables are read now and stay as they are.
    pub(crate) fn start(&mut self, ctx: &Ctx<'_>) {
        match self {
            Operand::Env(text) => *self = Operand::Const(environment(text, |name| ctx.env(name))),
            Operand::Context(key) => key.start(ctx),
            _ => {}
        }
    }

    /// The value for this message. A path that leads nowhere gives undefined.
    pub(crate) fn read<'v>(&'v self, message: &'v Message, previous: &'v Value, now_ms: i64) -> Cow<'v, Value> {
        match self {
            Operand::Const(value) => Cow::Borrowed(value),
            Operand::Msg(path) => Cow::Borrowed(message.get_path(path).unwrap_or(&Value::Undefined)),
            Operand::Previous => Cow::Borrowed(previous),
            Operand::Date(form) => Cow::Owned(form.value(now_ms)),
            Operand::Context(key) => Cow::Owned(key.get(message)),
            Operand::Env(_) => Cow::Borrowed(&Value::Undefined),
        }
    }

    /// The value for this message, for nodes that have no previous one.
    pub(crate) fn value<'v>(&'v self, message: &'v Message, now_ms: i64) -> Cow<'v, Value> {
        self.read(message, &Value::Undefined, now_ms)
    }
}

impl DateForm {
    fn value(self, now_ms: i64) -> Value {
        match self {
            DateForm::Millis => Value::Int(now_ms),
            DateForm::Object => Value::Date(now_ms),
            DateForm::Iso => Value::from(Value::Date(now_ms).to_text().into_owned()),
        }
    }
}

/// `Number(text)`; text that is no number stays text, as in Node-RED's rules.
fn number(text: &str) -> Value {
    if let Ok(integer) = text.trim().parse::<i64>() {
        return Value::Int(integer);
    }
    match Value::string(text).to_number() {
        number if number.is_nan() => Value::string(text),
        number if number.fract() == 0.0 && number.abs() < 9.0e15 => Value::Int(number as i64),
        number => Value::Float(number),
    }
}

fn json(value: &Json, at: &str) -> Result<Value, Problem> {
    match value {
        Json::String(text) => {
            Value::from_json(text).map_err(|error| Problem::error(at, format!("this is no JSON: {error}")))
        }
        other => Ok(Value::from(other.clone())),
    }
}

fn bytes(value: &Json, at: &str) -> Result<Bytes, Problem> {
    let refuse = || Problem::error(at, "binary data is a JSON array of numbers from 0 to 255, or a JSON string");
    match json(value, at)? {
        Value::String(text) => Ok(text.into_bytes()),
        Value::Array(items) => items
            .iter()
            .map(|item| item.as_i64().and_then(|number| u8::try_from(number).ok()).ok_or_else(refuse))
            .collect::<Result<Vec<u8>, Problem>>()
            .map(Bytes::from),
        _ => Err(refuse()),
    }
}

/// The value of an `env` operand, with values within a text written as JavaScript writes them.
fn environment(text: &str, get: impl Fn(&str) -> Option<Value>) -> Value {
    substitute(text, get, super::coerce::text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn read(value: Json, kind: &str) -> Value {
        let message = Message::with_payload(1, 7);
        Operand::compile(&value, kind, "/v").unwrap().value(&message, 1000).into_owned()
    }

    #[test]
    fn every_kind_gives_its_value() {
        assert_eq!(read(json!("12"), "num"), Value::Int(12));
        assert_eq!(read(json!("1e3"), "num"), Value::Int(1000));
        assert_eq!(read(json!(""), "num"), Value::Int(0));
        assert_eq!(read(json!(2.5), "num"), Value::Float(2.5));
        assert_eq!(read(json!("TRUE"), "bool"), Value::Bool(true));
        assert_eq!(read(json!("[1,{\"a\":2}]"), "json"), Value::from_json("[1,{\"a\":2}]").unwrap());
        assert_eq!(read(json!("msg.payload"), "msg"), Value::Int(7));
        assert_eq!(read(json!("payload.x"), "msg"), Value::Undefined);
        assert_eq!(read(json!("[104,105]"), "bin"), Value::Bytes("hi".into()));
        assert_eq!(read(json!(""), "date"), Value::Int(1000));
        assert_eq!(read(json!("iso"), "date"), Value::string("1970-01-01T00:00:01.000Z"));
    }

    #[test]
    fn what_is_not_supported_is_a_problem_that_says_so() {
        let problem = Operand::compile(&json!("x"), "jsonata", "/rules/0/to").unwrap_err();
        assert_eq!(problem.path, "/rules/0/to");
        assert!(problem.text.contains("not supported yet"), "{}", problem.text);
        assert!(Operand::compile(&json!(""), "flow", "/v").is_err());
        assert!(Operand::compile(&json!("{"), "json", "/v").is_err());
        assert!(Operand::compile(&json!("[300]"), "bin", "/v").is_err());
    }

    #[test]
    fn environment_variables_stand_alone_or_in_text() {
        let get = |name: &str| (name == "A").then(|| Value::from("1"));
        assert_eq!(environment("A", get), Value::from("1"));
        assert_eq!(environment("${A}", get), Value::from("1"));
        assert_eq!(environment("x${A}y${B}z", get), Value::from("x1yz"));
        assert_eq!(environment("B", get), Value::from(""));
        assert_eq!(environment("a${A", get), Value::from("a${A"));
    }
}
