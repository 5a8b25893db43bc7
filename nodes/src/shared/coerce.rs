//! JavaScript's conversions and comparisons, on which Node-RED's switch and change rest.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;

use tidewire_model::Value;

/// `String(value)`, or `value + ""`.
pub(crate) fn text(value: &Value) -> Cow<'_, str> {
    match value.resolved() {
        Value::Undefined => Cow::Borrowed("undefined"),
        Value::Null => Cow::Borrowed("null"),
        Value::Array(items) => {
            let parts = items.iter().map(|item| if item.is_nullish() { Cow::Borrowed("") } else { text(item) });
            Cow::Owned(parts.collect::<Vec<_>>().join(","))
        }
        Value::Object(_) => Cow::Borrowed("[object Object]"),
        other => other.to_text(),
    }
}

/// `parseFloat(value)`: the number at the beginning of its text, if there is one.
pub(crate) fn parse_float(value: &Value) -> Option<f64> {
    if let Some(number) = value.as_f64() {
        return (!number.is_nan()).then_some(number);
    }
    let text = text(value);
    let text = text.trim_start();
    let digits = |from: usize| text.bytes().skip(from).take_while(u8::is_ascii_digit).count();
    let mut end = usize::from(text.starts_with(['+', '-']));
    if text.get(end..).is_some_and(|rest| rest.starts_with("Infinity")) {
        return Some(if text.starts_with('-') { f64::NEG_INFINITY } else { f64::INFINITY });
    }
    end += digits(end);
    if text.get(end..).is_some_and(|rest| rest.starts_with('.')) {
        end += 1 + digits(end + 1);
    }
    let exponent = text.get(end..).map_or(0, |rest| match rest.as_bytes() {
        [b'e' | b'E', b'+' | b'-', ..] => 2,
        [b'e' | b'E', ..] => 1,
        _ => 0,
    });
    if exponent > 0 && digits(end + exponent) > 0 {
        end += exponent + digits(end + exponent);
    }
    text.get(..end)?.parse().ok()
}

fn is_container(value: &Value) -> bool {
    matches!(value, Value::Array(_) | Value::Object(_) | Value::Bytes(_) | Value::Date(_))
}

fn text_number(value: &str) -> f64 {
    Value::string(value).to_number()
}

/// `a == b`.
pub(crate) fn loose_eq(a: &Value, b: &Value) -> bool {
    use Value::{Array, Bool, Bytes, Date, Float, Int, Null, Object, String, Undefined};
    let (a, b) = (a.resolved(), b.resolved());
    match (a, b) {
        (Undefined | Null, Undefined | Null) => true,
        (Undefined | Null, _) | (_, Undefined | Null) => false,
        (Int(x), Int(y)) => x == y,
        (Int(_) | Float(_) | Bool(_), Int(_) | Float(_) | Bool(_)) => a.to_number() == b.to_number(),
        (String(x), String(y)) => x == y,
        (String(_), Int(_) | Float(_) | Bool(_)) | (Int(_) | Float(_) | Bool(_), String(_)) => {
            a.to_number() == b.to_number()
        }
        // Two containers are equal when they are the same one.
        (Array(x), Array(y)) => Arc::ptr_eq(x, y),
        (Object(x), Object(y)) => Arc::ptr_eq(x, y),
        (Bytes(x), Bytes(y)) => x.as_ptr() == y.as_ptr() && x.len() == y.len(),
        (Date(_), Date(_)) => false,
        _ if is_container(a) && is_container(b) => false,
        (String(x), _) => text(b) == **x,
        (_, String(y)) => text(a) == **y,
        _ if is_container(a) => text_number(&text(a)) == b.to_number(),
        _ => a.to_number() == text_number(&text(b)),
    }
}

/// `a < b`, `a > b` and their like; `None` where JavaScript finds neither less, equal nor greater.
pub(crate) fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    let (a, b) = (a.resolved(), b.resolved());
    match (a, b) {
        (Value::Int(x), Value::Int(y)) => Some(x.cmp(y)),
        (Value::Int(_) | Value::Float(_), Value::Int(_) | Value::Float(_)) => a.to_number().partial_cmp(&b.to_number()),
        _ => match (primitive(a), primitive(b)) {
            (Primitive::Text(x), Primitive::Text(y)) => Some(x.encode_utf16().cmp(y.encode_utf16())),
            (x, y) => x.number().partial_cmp(&y.number()),
        },
    }
}

enum Primitive<'v> {
    Text(Cow<'v, str>),
    Number(f64),
}

impl Primitive<'_> {
    fn number(&self) -> f64 {
        match self {
            Primitive::Text(text) => text_number(text),
            Primitive::Number(number) => *number,
        }
    }
}

fn primitive(value: &Value) -> Primitive<'_> {
    match value {
        Value::String(_) | Value::Array(_) | Value::Object(_) | Value::Bytes(_) => Primitive::Text(text(value)),
        other => Primitive::Number(other.to_number()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn value(json: &str) -> Value {
        Value::from_json(json).unwrap()
    }

    #[test]
    fn a_number_is_read_from_the_beginning_of_a_text() {
        let read = |json: &str| parse_float(&value(json));
        assert_eq!(read("\"1.5e3ms\""), Some(1500.0));
        assert_eq!((read("\" -2 \""), read("\".5e\""), read("7")), (Some(-2.0), Some(0.5), Some(7.0)));
        assert_eq!((read("\"x1\""), read("null"), read("true"), read("\"\"")), (None, None, None, None));
    }

    #[test]
    fn loose_equality_is_javascripts() {
        for (a, b) in [("5", "\"5\""), ("1", "true"), ("0", "\"\""), ("[5]", "5"), ("[1,2]", "\"1,2\""), ("1", "1.0")] {
            assert!(loose_eq(&value(a), &value(b)), "{a} == {b}");
            assert!(loose_eq(&value(b), &value(a)), "{b} == {a}");
        }
        for (a, b) in [("null", "0"), ("\"a\"", "0"), ("{}", "{}"), ("true", "\"true\""), ("null", "false")] {
            assert!(!loose_eq(&value(a), &value(b)), "{a} == {b}");
        }
        assert!(loose_eq(&Value::Undefined, &Value::Null));
    }

    #[test]
    fn order_is_by_text_only_between_texts() {
        assert_eq!(compare(&value("\"10\""), &value("\"9\"")), Some(Ordering::Less));
        assert_eq!(compare(&value("\"10\""), &value("9")), Some(Ordering::Greater));
        assert_eq!(compare(&value("\"x\""), &value("9")), None);
        assert_eq!(compare(&Value::Null, &value("1")), Some(Ordering::Less));
        assert_eq!(compare(&Value::Undefined, &value("1")), None);
    }
}
