//! Extension attributes: what CloudEvents lets a source add to an event beside the attributes that the log knows.
//!
//! They are kept as they came, and given back in every mode. An event that has none costs nothing more.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use compact_str::CompactString;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::time::format_rfc3339;
use super::{json, rules};
use crate::{Map, Value};

/// The most extension attributes that an event may have.
const COUNT_MAX: usize = 32;
/// The most bytes that names and values of an event's extension attributes may have together.
const SIZE_MAX: usize = 8 * 1024;
/// The longest name, in bytes. `CloudEvents` advises against more than 20.
const NAME_MAX: usize = 64;
/// What is wrong with a value of another kind.
const KINDS: &str = "is neither a text, a whole number of 32 bits, true nor false; write it as a text, or put it into \
                     the data";

/// The value of an extension attribute. Times, URIs and bytes are texts, as they are in JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExtensionValue {
    /// True or false.
    Bool(bool),
    /// A whole number.
    Integer(i32),
    /// Anything else.
    Text(CompactString),
}

impl ExtensionValue {
    /// Reads a JSON value; `None` for null, which is an attribute that is not set.
    ///
    /// # Errors
    /// It is of a kind that no attribute can be.
    pub fn from_json(json: &str) -> Result<Option<Self>, String> {
        let value = match json.trim().as_bytes() {
            b"null" => return Ok(None),
            b"true" => Some(Self::Bool(true)),
            b"false" => Some(Self::Bool(false)),
            [b'"', ..] => serde_json::from_str(json).ok().map(Self::Text),
            _ => json.trim().parse().ok().map(Self::Integer),
        };
        value.map(Some).ok_or_else(|| KINDS.to_owned())
    }

    /// Takes a value of a message; `None` for null and undefined. A time is written as RFC 3339 and bytes as base64.
    ///
    /// # Errors
    /// It is of a kind that no attribute can be.
    pub fn from_value(value: &Value) -> Result<Option<Self>, String> {
        Ok(Some(match value.resolved() {
            Value::Undefined | Value::Null => return Ok(None),
            Value::Bool(value) => Self::Bool(*value),
            Value::String(text) => Self::Text(CompactString::from(&**text)),
            Value::Date(ms) => Self::Text(format_rfc3339(*ms).into()),
            Value::Bytes(bytes) => Self::Text(BASE64.encode(bytes).into()),
            other => match other.as_i64().map(i32::try_from) {
                Some(Ok(number)) => Self::Integer(number),
                _ => return Err(KINDS.to_owned()),
            },
        }))
    }

    fn len(&self) -> usize {
        match self {
            Self::Bool(_) | Self::Integer(_) => 4,
            Self::Text(text) => text.len(),
        }
    }

    fn to_value(&self) -> Value {
        match self {
            Self::Bool(value) => Value::Bool(*value),
            Self::Integer(value) => Value::Int(i64::from(*value)),
            Self::Text(text) => Value::string(text),
        }
    }
}

/// One extension attribute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extension {
    /// Lower-case letters and digits.
    pub name: CompactString,
    /// What it says.
    pub value: ExtensionValue,
}

/// What is wrong with extension attributes: of which one, unless it is all of them, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtensionError {
    /// The name of the attribute, if it is about one.
    pub name: Option<CompactString>,
    /// What is wrong.
    pub problem: String,
}

/// The extension attributes of an event, in the order of their names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Extensions(Option<Arc<[Extension]>>);

impl Extensions {
    /// None.
    pub const NONE: Self = Self(None);

    /// Takes extension attributes in any order.
    ///
    /// # Errors
    /// A name or a value that cannot be, a name that comes twice, or more than an event may have.
    pub fn new(mut all: Vec<Extension>) -> Result<Self, ExtensionError> {
        let whole = |problem: String| Err(ExtensionError { name: None, problem });
        if all.len() > COUNT_MAX {
            let count = all.len();
            return whole(format!(
                "has {count} extension attributes; {COUNT_MAX} are the most, put more into the data"
            ));
        }
        let size = all.iter().map(|one| one.name.len() + one.value.len()).sum::<usize>();
        if size > SIZE_MAX {
            return whole(format!("has {size} bytes of extension attributes; {SIZE_MAX} are the most, use the data"));
        }
        all.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        for (one, next) in all.iter().zip(all.iter().skip(1).map(Some).chain([None])) {
            let text = match &one.value {
                ExtensionValue::Text(text) => rules::extension(text),
                _ => None,
            };
            let twice = || next.is_some_and(|next| next.name == one.name).then(|| "stands there twice".to_owned());
            if let Some(problem) = name_problem(&one.name).or(text).or_else(twice) {
                return Err(ExtensionError { name: Some(one.name.clone()), problem });
            }
        }
        Ok(Self::from_stored(all))
    }

    fn from_stored(all: Vec<Extension>) -> Self {
        Self((!all.is_empty()).then(|| all.into()))
    }

    /// All of them.
    #[must_use]
    pub fn as_slice(&self) -> &[Extension] {
        self.0.as_deref().unwrap_or_default()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The value of one.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&ExtensionValue> {
        let all = self.as_slice();
        all.binary_search_by(|one| one.name.as_str().cmp(name)).ok().and_then(|at| all.get(at)).map(|one| &one.value)
    }

    /// About how many bytes they take.
    #[must_use]
    pub fn size(&self) -> usize {
        self.as_slice().iter().map(|one| one.name.len() + one.value.len() + 3).sum()
    }

    /// As an object, for conditions and templates.
    #[must_use]
    pub fn to_value(&self) -> Option<Value> {
        let mut map = Map::with_capacity(self.as_slice().len());
        self.as_slice().iter().for_each(|one| map.insert(one.name.as_str(), one.value.to_value()));
        (!self.is_empty()).then(|| Value::object(map))
    }
}

/// What is wrong with a name that somebody chose for an extension attribute.
#[must_use]
pub fn choice_problem(name: &str) -> Option<String> {
    let taken = || "has a meaning of its own in the log; choose another name".to_owned();
    name_problem(name).or_else(|| json::has_meaning(name).then(taken))
}

fn name_problem(name: &str) -> Option<String> {
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()) {
        return Some("is no attribute: their names are lower-case letters and digits; put it into the data".to_owned());
    }
    let len = name.len();
    (len > NAME_MAX).then(|| format!("has a name of {len} bytes; shorten it to {NAME_MAX} or fewer"))
}

impl Serialize for Extensions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_slice().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Extensions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self::from_stored)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn one(name: &str, json: &str) -> Extension {
        Extension { name: name.into(), value: ExtensionValue::from_json(json).unwrap().unwrap() }
    }

    #[test]
    fn values_are_of_the_kinds_that_cloudevents_knows() {
        for (json, value) in [
            ("true", ExtensionValue::Bool(true)),
            ("-2147483648", ExtensionValue::Integer(i32::MIN)),
            (r#""ä\n""#, ExtensionValue::Text("ä\n".into())),
            (r#""""#, ExtensionValue::Text("".into())),
        ] {
            assert_eq!(ExtensionValue::from_json(json), Ok(Some(value)), "{json}");
        }
        assert_eq!(ExtensionValue::from_json("null"), Ok(None));
        for json in ["1.0", "1e3", "2147483648", "{}", "[1]"] {
            assert!(ExtensionValue::from_json(json).unwrap_err().contains("32 bits"), "{json}");
        }
    }

    #[test]
    fn values_of_messages_become_what_cloudevents_knows() {
        let text = |text: &str| ExtensionValue::Text(text.into());
        for (value, taken) in [
            (Value::string("ä"), Some(text("ä"))),
            (Value::Float(-2.0), Some(ExtensionValue::Integer(-2))),
            (Value::lazy_json("true".into()).unwrap(), Some(ExtensionValue::Bool(true))),
            (Value::Date(0), Some(text("1970-01-01T00:00:00.000Z"))),
            (Value::Bytes("hi".into()), Some(text("aGk="))),
            (Value::Null, None),
            (Value::Undefined, None),
        ] {
            assert_eq!(ExtensionValue::from_value(&value), Ok(taken), "{value:?}");
        }
        for value in [Value::Float(0.5), Value::Int(i64::from(i32::MAX) + 1), Value::array(vec![Value::Int(1)])] {
            assert!(ExtensionValue::from_value(&value).unwrap_err().contains("32 bits"), "{value:?}");
        }
    }

    #[test]
    fn names_that_mean_something_in_the_log_cannot_be_chosen() {
        for name in ["traceparent", "ward", "0", "partitionkey"] {
            assert_eq!(choice_problem(name), None, "{name}");
        }
        for name in ["type", "data", "specversion", "expectedversion", "keyid", "erased", "rawqos", "upcastproblem"] {
            assert!(choice_problem(name).unwrap().contains("meaning of its own"), "{name}");
        }
        for name in ["", "Ward", "com-ward", "data_base64", "a\":1,\"b"] {
            assert!(choice_problem(name).unwrap().contains("lower-case letters and digits"), "{name}");
        }
    }

    #[test]
    fn what_an_event_may_have_is_limited() {
        let refused = |all: Vec<Extension>| {
            let error = Extensions::new(all).unwrap_err();
            format!("{} {}", error.name.unwrap_or_default(), error.problem)
        };
        let text = |len: usize| format!("\"{}\"", "x".repeat(len));
        for (all, told) in [
            (vec![one("comExample", "1")], "lower-case letters and digits"),
            (vec![one("com_example", "1")], "lower-case letters and digits"),
            (vec![one("", "1")], "lower-case letters and digits"),
            (vec![one(&"a".repeat(65), "1")], "64"),
            (vec![one("a", &text(1_025))], "a has 1025 bytes"),
            (vec![one("a", r#""b\u0007""#)], "U+0007"),
            (vec![one("a", "1"), one("b", "1"), one("a", "2")], "a stands there twice"),
            ((0..33).map(|n| one(&format!("a{n}"), "1")).collect(), "33 extension attributes; 32"),
            ((0..9).map(|n| one(&format!("a{n}"), &text(1_000))).collect(), "9018 bytes"),
        ] {
            let error = refused(all);
            assert!(error.contains(told), "{error}");
        }
        let most = Extensions::new((0..32).map(|n| one(&format!("a{n}"), &text(200))).collect()).unwrap();
        assert_eq!(most.get("a31"), Some(&ExtensionValue::Text("x".repeat(200).into())));
        assert_eq!(Extensions::new(Vec::new()), Ok(Extensions::NONE));
    }
}
