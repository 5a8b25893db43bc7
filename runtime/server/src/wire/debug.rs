//! Node-RED's encoding of values for the debug panel: a format and a text, both short.

use serde_json::{Value as Json, json};
use tidewire_model::Value;

/// Characters of a text, items of an array and digits of a buffer that are shown.
const LENGTH_MAX: usize = 1_000;
/// Nesting that is shown.
const DEPTH_MAX: usize = 12;
/// Values that are encoded in all; the rest of a huge message is left out.
const VALUES_MAX: usize = 20_000;

/// The value's format and text.
pub fn encode(value: &Value) -> (String, Json) {
    match value.resolved() {
        Value::Undefined => ("undefined".to_owned(), "(undefined)".into()),
        Value::Null => ("null".to_owned(), "(undefined)".into()),
        Value::Bool(_) => ("boolean".to_owned(), value.to_text().into()),
        Value::Int(_) | Value::Float(_) => ("number".to_owned(), value.to_text().into()),
        Value::Date(_) => ("Object".to_owned(), Json::String(format!("\"{}\"", value.to_text()))),
        Value::String(text) => (format!("string[{}]", text.chars().count()), cut(text).into()),
        Value::Bytes(bytes) => (format!("buffer[{}]", bytes.len()), hex(bytes).into()),
        Value::Array(items) => (format!("array[{}]", items.len()), nested(value).to_string().into()),
        Value::Object(_) | Value::Json(_) => ("Object".to_owned(), nested(value).to_string().into()),
    }
}

fn nested(value: &Value) -> Json {
    let mut left = VALUES_MAX;
    inner(value, 0, &mut left)
}

fn inner(value: &Value, depth: usize, left: &mut usize) -> Json {
    *left = left.saturating_sub(1);
    match value.resolved() {
        Value::Undefined => json!({"__enc__": true, "type": "undefined"}),
        Value::Float(number) if !number.is_finite() => {
            json!({"__enc__": true, "type": "number", "data": value.to_text()})
        }
        Value::String(text) => cut(text).into(),
        Value::Date(_) => value.to_text().into(),
        Value::Bytes(bytes) => {
            let data: Vec<u8> = bytes.iter().take(LENGTH_MAX).copied().collect();
            json!({"type": "Buffer", "data": data, "length": bytes.len(), "__enc__": true})
        }
        Value::Array(_) | Value::Object(_) if depth >= DEPTH_MAX || *left == 0 => "…".into(),
        Value::Array(items) => {
            let data: Vec<Json> = items.iter().take(LENGTH_MAX).map(|item| inner(item, depth + 1, left)).collect();
            if items.len() > LENGTH_MAX {
                json!({"__enc__": true, "type": "array", "data": data, "length": items.len()})
            } else {
                data.into()
            }
        }
        Value::Object(map) => {
            Json::Object(map.iter().map(|(key, value)| (key.to_owned(), inner(value, depth + 1, left))).collect())
        }
        plain => tidewire_model::value::to_json_value(plain),
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(LENGTH_MAX) {
        Some((at, _)) => format!("{}...", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().take(LENGTH_MAX / 2).fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A short form of a value for the node's card: numbers and switches as they are, anything else as text.
pub fn preview(value: &Value, length_max: usize) -> Json {
    match value {
        Value::Bool(_) | Value::Int(_) => tidewire_model::value::to_json_value(value),
        Value::Float(number) if number.is_finite() => json!(number),
        Value::Bytes(bytes) => format!("buffer[{}]", bytes.len()).into(),
        other => {
            let text = other.to_text();
            match text.char_indices().nth(length_max) {
                Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()).into(),
                None => text.into(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn text(value: Value) -> (String, String) {
        let (format, msg) = encode(&value);
        (format, msg.as_str().unwrap().to_owned())
    }

    #[test]
    fn values_look_as_in_node_red() {
        assert_eq!(text(Value::string("äb")), ("string[2]".into(), "äb".into()));
        assert_eq!(text(Value::Float(1.5)), ("number".into(), "1.5".into()));
        assert_eq!(text(Value::Bytes(vec![1, 255].into())), ("buffer[2]".into(), "01ff".into()));
        assert_eq!(text(Value::Undefined), ("undefined".into(), "(undefined)".into()));
        assert_eq!(text(Value::from_json(r#"{"a":[1]}"#).unwrap()), ("Object".into(), r#"{"a":[1]}"#.into()));
        let (format, msg) = text(Value::array(vec![Value::Int(0); 1_500]));
        assert_eq!(format, "array[1500]");
        assert!(msg.contains("\"length\":1500"));
        assert_eq!(text(Value::string("x".repeat(2_000))).1.len(), 1_003);
    }

    #[test]
    fn previews_are_short() {
        assert_eq!(preview(&Value::Int(3), 200), json!(3));
        assert_eq!(preview(&Value::string("x".repeat(300)), 200).as_str().unwrap().chars().count(), 201);
    }
}
