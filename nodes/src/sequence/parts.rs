//! `msg.parts`: the place of a message in its sequence; and separators as flows write them.

use bytes::Bytes;
use serde_json::Value as Json;
use tidewire_model::{Map, Message, Problem, Value};

/// A new `parts` for what a message is taken apart into; the present one goes below it.
pub(super) fn nested(message: &Message, id: u64) -> Map {
    let mut parts = Map::with_capacity(8);
    if let Some(outer) = message.get("parts") {
        parts.insert("parts", outer.clone());
    }
    parts.insert("id", format!("{id:016x}"));
    parts
}

/// Puts the `parts` of the sequence around this one back, or removes `parts`.
pub(super) fn strip(message: &mut Message) {
    match message.get("parts").and_then(|parts| parts.get("parts")).cloned() {
        Some(outer) => message.set("parts", outer),
        None => drop(message.body_mut().remove("parts")),
    }
}

/// Text with the escapes that Node-RED knows.
pub(super) fn unescaped(text: &str) -> String {
    // JavaScript reads "\e" as the letter.
    [("\\n", "\n"), ("\\r", "\r"), ("\\t", "\t"), ("\\e", "e"), ("\\f", "\u{c}"), ("\\0", "\0")]
        .into_iter()
        .fold(text.to_owned(), |text, (from, to)| if text.contains(from) { text.replace(from, to) } else { text })
}

/// The bytes of a JSON array of numbers.
pub(super) fn bytes(text: &str, at: &str) -> Result<Bytes, Problem> {
    let refuse = || Problem::error(at, "this is a JSON array of numbers from 0 to 255, such as [13,10]");
    let Ok(Json::Array(items)) = serde_json::from_str(text) else { return Err(refuse()) };
    let byte = |item: &Json| item.as_u64().and_then(|number| u8::try_from(number).ok()).ok_or_else(refuse);
    items.iter().map(byte).collect::<Result<Vec<u8>, Problem>>().map(Bytes::from)
}

/// Bytes as the array of numbers in which `parts.ch` tells a binary separator.
pub(super) fn numbers(bytes: &[u8]) -> Value {
    Value::array(bytes.iter().map(|byte| Value::from(i64::from(*byte))).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn separators_are_text_with_escapes_or_bytes() {
        assert_eq!(unescaped("a\\n\\tb"), "a\n\tb");
        assert_eq!(bytes("[13, 10]", "/splt").unwrap(), Bytes::from("\r\n"));
        for wrong in ["1", "[300]", "[\"a\"]", "x"] {
            assert_eq!(bytes(wrong, "/splt").unwrap_err().path, "/splt");
        }
    }

    #[test]
    fn the_sequence_around_is_put_back() {
        let mut message = Message::with_payload(1, 1);
        let inner = nested(&message, 5);
        message.set("parts", Value::object(inner));
        let outer = nested(&message, 6);
        message.set("parts", Value::object(outer));
        strip(&mut message);
        assert_eq!(message.get("parts").unwrap().get("id").unwrap().as_str(), Some("0000000000000005"));
        strip(&mut message);
        assert!(message.get("parts").is_none());
    }
}
