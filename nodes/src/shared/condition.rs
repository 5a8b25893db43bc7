//! Comparisons by the names of Node-RED's switch: `eq`, `gt`, `btwn`, `regex` and so on, compiled once.

use std::borrow::Cow;
use std::cmp::Ordering;

use regex::Regex;
use serde_json::Value as Json;
use tidewire_model::{Message, Problem, Value};
use tidewire_node_api::Ctx;

use super::coerce::{compare, loose_eq, text};
use super::pattern::pattern;
use super::typed_input::{Operand, config_text};

/// What is compared, by Node-RED's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Eq,
    Neq,
    Lt,
    Lte,
    Gt,
    Gte,
    Btwn,
    Cont,
    Regex,
    Hask,
    True,
    False,
    Null,
    Nnull,
    Empty,
    Nempty,
    Istype,
    Head,
    Tail,
    Index,
}

/// Names of the comparisons, in the order of the form.
pub(crate) const NAMES: [(&str, Op); 20] = [
    ("eq", Op::Eq),
    ("neq", Op::Neq),
    ("lt", Op::Lt),
    ("lte", Op::Lte),
    ("gt", Op::Gt),
    ("gte", Op::Gte),
    ("hask", Op::Hask),
    ("btwn", Op::Btwn),
    ("cont", Op::Cont),
    ("regex", Op::Regex),
    ("true", Op::True),
    ("false", Op::False),
    ("null", Op::Null),
    ("nnull", Op::Nnull),
    ("istype", Op::Istype),
    ("empty", Op::Empty),
    ("nempty", Op::Nempty),
    ("head", Op::Head),
    ("tail", Op::Tail),
    ("index", Op::Index),
];

impl Op {
    /// The comparison of this name.
    pub(crate) fn named(name: &str) -> Option<Op> {
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, op)| *op)
    }

    fn takes_value(self) -> bool {
        !matches!(self, Op::True | Op::False | Op::Null | Op::Nnull | Op::Empty | Op::Nempty)
    }

    fn takes_two(self) -> bool {
        matches!(self, Op::Btwn | Op::Index)
    }
}

/// A typed value as it stands in the configuration.
pub(crate) struct Given<'c> {
    pub(crate) value: &'c Json,
    /// Missing: num if the value is numeric, else str.
    pub(crate) kind: Option<&'c str>,
    /// JSON pointer, for problems.
    pub(crate) at: String,
}

impl Given<'_> {
    fn compile(&self) -> Result<Operand, Problem> {
        let kind = match self.kind {
            Some(kind) if !kind.is_empty() => kind,
            _ if self.value.is_boolean() => "bool",
            _ if self.value.is_array() || self.value.is_object() => "json",
            _ if Value::string(config_text(self.value)).to_number().is_nan() => "str",
            _ => "num",
        };
        Operand::compile(self.value, kind, &self.at)
    }
}

/// One compiled comparison.
#[derive(Debug, Clone)]
pub(crate) struct Comparison {
    op: Op,
    first: Operand,
    second: Operand,
    /// The compiled pattern of `regex`, when it is constant.
    pattern: Option<Regex>,
    ignore_case: bool,
}

/// What a comparison may look at besides the property.
pub(crate) struct Surroundings<'m> {
    pub(crate) message: &'m Message,
    pub(crate) previous: &'m Value,
    pub(crate) now_ms: i64,
}

impl Comparison {
    /// Compiles a comparison.
    ///
    /// # Errors
    /// A value that does not fit its type, a type that is not supported, or a broken pattern.
    pub(crate) fn compile(op: Op, first: &Given<'_>, second: &Given<'_>, ignore_case: bool) -> Result<Self, Problem> {
        let nothing = Operand::Const(Value::Undefined);
        let one = match op {
            Op::Regex if matches!(first.kind, None | Some("str" | "re" | "" | "num")) => {
                Operand::Const(Value::string(config_text(first.value)))
            }
            // Node-RED writes the name of a type as its own kind.
            Op::Istype if !matches!(first.kind, Some("msg" | "flow" | "global" | "env" | "prev" | "jsonata")) => {
                Operand::Const(Value::string(config_text(first.value)))
            }
            _ if op.takes_value() => first.compile()?,
            _ => nothing.clone(),
        };
        let two = if op.takes_two() { second.compile()? } else { nothing };
        let pattern = match (&one, op) {
            (Operand::Const(value), Op::Regex) => {
                Some(pattern(&text(value), ignore_case).map_err(|error| Problem::error(first.at.clone(), error))?)
            }
            _ => None,
        };
        Ok(Comparison { op, first: one, second: two, pattern, ignore_case })
    }

    /// Called when the node starts: environment variables are read now.
    ///
    /// # Errors
    /// A pattern that came from the environment and is broken.
    pub(crate) fn start(&mut self, ctx: &Ctx<'_>) -> Result<(), String> {
        self.first.start(ctx);
        self.second.start(ctx);
        if let (Op::Regex, None, Operand::Const(value)) = (self.op, &self.pattern, &self.first) {
            self.pattern = Some(pattern(&text(value), self.ignore_case)?);
        }
        Ok(())
    }

    /// Whether `value`, the property, passes.
    ///
    /// # Errors
    /// A regular expression that this message brought, or context, cannot be used.
    pub(crate) fn test(&self, value: &Value, around: &Surroundings<'_>) -> Result<bool, String> {
        if self.op == Op::Regex && self.pattern.is_none() {
            let pattern = pattern(&text(&self.read(&self.first, around)), self.ignore_case)?;
            return Ok(pattern.is_match(&text(value)));
        }
        Ok(self.passes(value, around))
    }

    /// Whether `value`, the property, passes; what cannot be compared does not.
    pub(crate) fn passes(&self, value: &Value, around: &Surroundings<'_>) -> bool {
        // The common case, without a detour: a number against a fixed number.
        if let (Operand::Const(Value::Int(limit)), Value::Int(number)) = (&self.first, value) {
            match self.op {
                Op::Eq => return number == limit,
                Op::Neq => return number != limit,
                Op::Lt => return number < limit,
                Op::Lte => return number <= limit,
                Op::Gt => return number > limit,
                Op::Gte => return number >= limit,
                _ => {}
            }
        }
        let value = value.resolved();
        match self.op {
            Op::True => matches!(value, Value::Bool(true)),
            Op::False => matches!(value, Value::Bool(false)),
            Op::Null => value.is_nullish(),
            Op::Nnull => !value.is_nullish(),
            Op::Empty => length(value) == Some(0),
            Op::Nempty => length(value).is_some_and(|length| length > 0),
            _ => self.against(value, &self.read(&self.first, around), around),
        }
    }

    fn read<'m>(&'m self, operand: &'m Operand, around: &'m Surroundings<'_>) -> Cow<'m, Value> {
        operand.read(around.message, around.previous, around.now_ms)
    }

    fn against(&self, value: &Value, first: &Value, around: &Surroundings<'_>) -> bool {
        match self.op {
            Op::Eq => loose_eq(value, first),
            Op::Neq => !loose_eq(value, first),
            Op::Lt => compare(value, first) == Some(Ordering::Less),
            Op::Lte => at_most(value, first),
            Op::Gt => compare(value, first) == Some(Ordering::Greater),
            Op::Gte => at_most(first, value),
            Op::Btwn => {
                let second = self.read(&self.second, around);
                (at_most(first, value) && at_most(value, &second)) || (at_most(value, first) && at_most(&second, value))
            }
            Op::Cont => text(value).contains(&*text(first)),
            Op::Regex => match &self.pattern {
                Some(pattern) => pattern.is_match(&text(value)),
                None => pattern(&text(first), self.ignore_case).is_ok_and(|pattern| pattern.is_match(&text(value))),
            },
            Op::Hask => has_key(value, first),
            Op::Istype => is_type(value, &text(first)),
            Op::Head | Op::Tail | Op::Index => self.in_sequence(first, around),
            _ => false,
        }
    }

    fn in_sequence(&self, first: &Value, around: &Surroundings<'_>) -> bool {
        let part = |key| around.message.get("parts").and_then(|parts| parts.get(key)).map(Value::to_number);
        let Some(index) = part("index") else { return false };
        let first = first.to_number();
        match self.op {
            Op::Head => index < first,
            Op::Tail => part("count").is_some_and(|count| index >= count - first),
            _ => first <= index && index <= self.read(&self.second, around).to_number(),
        }
    }

    /// Whether the size of the message's group must be known.
    pub(crate) fn needs_count(&self) -> bool {
        self.op == Op::Tail
    }
}

fn at_most(a: &Value, b: &Value) -> bool {
    matches!(compare(a, b), Some(Ordering::Less | Ordering::Equal))
}

/// `value.hasOwnProperty(key)`.
fn has_key(value: &Value, key: &Value) -> bool {
    if matches!(key, Value::Object(_) | Value::Array(_) | Value::Null | Value::Bytes(_) | Value::Date(_)) {
        return false;
    }
    let key = text(key);
    let is_index = |length: usize| key == "length" || key.parse::<usize>().is_ok_and(|index| index < length);
    match value {
        Value::Object(map) => map.contains_key(&key),
        Value::Array(items) => is_index(items.len()),
        Value::String(text) => is_index(text.encode_utf16().count()),
        _ => false,
    }
}

fn length(value: &Value) -> Option<usize> {
    match value {
        Value::String(text) => Some(text.len()),
        Value::Bytes(bytes) => Some(bytes.len()),
        Value::Array(items) => Some(items.len()),
        Value::Object(map) => Some(map.len()),
        Value::Date(_) => Some(0),
        _ => None,
    }
}

fn is_type(value: &Value, name: &str) -> bool {
    match name {
        "json" => match value {
            Value::String(text) => Value::from_json(text).is_ok(),
            Value::Bytes(bytes) => std::str::from_utf8(bytes).is_ok_and(|text| Value::from_json(text).is_ok()),
            Value::Int(_) | Value::Float(_) | Value::Bool(_) | Value::Null => true,
            _ => false,
        },
        "object" => matches!(value, Value::Object(_) | Value::Date(_)),
        "number" => value.as_f64().is_some_and(|number| !number.is_nan()),
        name => value.type_name() == name,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn passes(value: &str, op: &str, first: Json, second: Json) -> bool {
        let value = if value == "undefined" { Value::Undefined } else { Value::from_json(value).unwrap() };
        let given = |value, at: &str| Given { value, kind: None, at: at.to_owned() };
        let comparison =
            Comparison::compile(Op::named(op).unwrap(), &given(&first, "/v"), &given(&second, "/v2"), false).unwrap();
        let message = Message::with_payload(1, value.clone());
        comparison.passes(&value, &Surroundings { message: &message, previous: &Value::Null, now_ms: 0 })
    }

    #[track_caller]
    fn yes(value: &str, op: &str, first: Json) {
        assert!(passes(value, op, first.clone(), Json::Null), "{value} {op} {first}");
    }

    #[track_caller]
    fn no(value: &str, op: &str, first: Json) {
        assert!(!passes(value, op, first.clone(), Json::Null), "{value} {op} {first}");
    }

    #[test]
    fn comparisons_are_loose() {
        yes("5", "eq", json!("5"));
        yes("\"5\"", "eq", json!("5"));
        yes("31.5", "gt", json!("30"));
        no("30", "gt", json!("30"));
        yes("\"31\"", "gte", json!("30"));
        no("undefined", "lt", json!("30"));
        no("undefined", "gte", json!("30"));
        yes("null", "lte", json!("0"));
        yes("\"b\"", "gt", json!("a"));
    }

    #[test]
    fn between_takes_bounds_in_either_order() {
        assert!(passes("4", "btwn", json!("3"), json!("5")));
        assert!(passes("4", "btwn", json!("5"), json!("3")));
        assert!(passes("\"4\"", "btwn", json!("3"), json!("5")));
        assert!(!passes("6", "btwn", json!("3"), json!("5")));
    }

    #[test]
    fn true_and_false_are_strict_and_null_takes_undefined() {
        yes("true", "true", json!(""));
        no("1", "true", json!(""));
        no("0", "false", json!(""));
        yes("null", "null", json!(""));
        yes("undefined", "null", json!(""));
        yes("0", "nnull", json!(""));
    }

    #[test]
    fn emptiness_is_of_texts_and_containers_only() {
        for empty in ["\"\"", "[]", "{}"] {
            yes(empty, "empty", json!(""));
            no(empty, "nempty", json!(""));
        }
        for neither in ["0", "null", "undefined", "false"] {
            no(neither, "empty", json!(""));
            no(neither, "nempty", json!(""));
        }
        yes("[0]", "nempty", json!(""));
    }

    #[test]
    fn text_is_searched_and_types_are_told_apart() {
        yes("\"alarm: door\"", "cont", json!("door"));
        yes("1234", "cont", json!("23"));
        yes("\"abc\"", "regex", json!("^a.c$"));
        yes("\"a/b\"", "regex", json!("a\\/b"));
        no("\"ABC\"", "regex", json!("^a.c$"));
        yes("{\"a\":1}", "hask", json!("a"));
        no("\"a\"", "hask", json!("a"));
        yes("[7]", "hask", json!("0"));
        for (value, name) in [("[]", "array"), ("{}", "object"), ("null", "null"), ("1", "number"), ("\"{}\"", "json")]
        {
            yes(value, "istype", json!(name));
        }
        no("[]", "istype", json!("object"));
        no("\"{\"", "istype", json!("json"));
        yes("undefined", "istype", json!("undefined"));
    }

    #[test]
    fn a_broken_pattern_is_a_problem_at_its_place() {
        let given = Given { value: &json!("a("), kind: Some("str"), at: "/rules/0/v".to_owned() };
        let problem = Comparison::compile(Op::Regex, &given, &given, false).unwrap_err();
        assert_eq!(problem.path, "/rules/0/v");
        assert!(problem.text.contains("unclosed group"), "{}", problem.text);
    }
}
