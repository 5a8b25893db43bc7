//! Values from and to JSON text, as `JSON.parse` and `JSON.stringify` do it.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use super::{LazyJson, Map, Value};

/// Text that is not JSON: what was expected, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct ParseError {
    text: String,
    /// From 1; 0 when the text was not even UTF-8.
    pub line: usize,
    pub column: usize,
}

impl ParseError {
    pub(super) fn not_utf8() -> Self {
        ParseError { text: "the text is not UTF-8".into(), line: 0, column: 0 }
    }
}

impl From<serde_json::Error> for ParseError {
    fn from(error: serde_json::Error) -> Self {
        ParseError { text: error.to_string(), line: error.line(), column: error.column() }
    }
}

impl Value {
    /// Parses JSON text at once.
    ///
    /// # Errors
    /// Says what is wrong and where (line, column).
    pub fn from_json(text: &str) -> Result<Value, ParseError> {
        Ok(serde_json::from_str(text)?)
    }

    /// Checks JSON text and keeps it as it is until somebody looks into it. Scalars are parsed at once.
    ///
    /// # Errors
    /// As [`Value::from_json`].
    pub fn lazy_json(bytes: Bytes) -> Result<Value, ParseError> {
        let first = bytes.iter().find(|b| !b.is_ascii_whitespace());
        if matches!(first, Some(b'{' | b'[')) {
            return Ok(Value::Json(Arc::new(LazyJson::new(bytes)?)));
        }
        let text = std::str::from_utf8(&bytes).map_err(|_| ParseError::not_utf8())?;
        Value::from_json(text)
    }

    /// The same data with every `{"type":"Buffer","data":[…]}` in it read back as bytes: the JSON form that
    /// the HTTP API uses for binary data. Not for device payloads, where such an object is just an object.
    pub fn with_buffers(self) -> Value {
        match self.resolved() {
            Value::Array(items) => Value::array(items.iter().cloned().map(Value::with_buffers).collect()),
            Value::Object(map) => buffer_from(map).unwrap_or_else(|| {
                Value::object(map.iter().map(|(key, value)| (key, value.clone().with_buffers())).collect())
            }),
            _ => self,
        }
    }

    /// JSON text. Undefined properties are left out, an undefined item is null, bytes are
    /// `{"type":"Buffer","data":[…]}`, dates ISO 8601 text.
    pub fn to_json(&self) -> String {
        let mut out = Vec::with_capacity(128);
        write_json(self, &mut out);
        // The writer emits UTF-8 only; lossy conversion cannot lose anything.
        String::from_utf8(out).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned())
    }
}

/// Appends the JSON text of `value` to `out`.
pub fn write_json(value: &Value, out: &mut Vec<u8>) {
    if let Value::Json(lazy) = value {
        out.extend_from_slice(lazy.bytes());
        return;
    }
    // Writing into memory cannot fail, and every value has a JSON form.
    let _ = serde_json::to_writer(out, value);
}

/// The same data as `serde_json::Value`.
pub fn to_json_value(value: &Value) -> serde_json::Value {
    serde_json::to_value(value).unwrap_or(serde_json::Value::Null)
}

impl From<serde_json::Value> for Value {
    fn from(json: serde_json::Value) -> Self {
        Value::from(&json)
    }
}

impl From<&serde_json::Value> for Value {
    fn from(json: &serde_json::Value) -> Self {
        use serde_json::Value as Json;
        match json {
            Json::Null => Value::Null,
            Json::Bool(b) => Value::Bool(*b),
            Json::Number(n) => n.as_i64().map_or_else(|| Value::Float(n.as_f64().unwrap_or(f64::NAN)), Value::Int),
            Json::String(s) => Value::string(s),
            Json::Array(items) => Value::array(items.iter().map(Value::from).collect()),
            Json::Object(map) => {
                Value::object(map.iter().map(|(key, value)| (key.as_str(), Value::from(value))).collect())
            }
        }
    }
}

/// A finite number as JavaScript prints it; NaN and infinities by name.
pub(super) fn number_text(number: f64) -> String {
    if number.is_nan() {
        "NaN".into()
    } else if number.is_infinite() {
        if number > 0.0 { "Infinity".into() } else { "-Infinity".into() }
    } else if number == 0.0 {
        "0".into()
    } else {
        let magnitude = number.abs();
        if (1e-6..1e21).contains(&magnitude) {
            format!("{number}")
        } else {
            let text = format!("{number:e}");
            if magnitude >= 1.0 { text.replacen('e', "e+", 1) } else { text }
        }
    }
}

/// ISO 8601 text of milliseconds since the epoch, as `Date.prototype.toISOString`.
pub(super) fn date_text(ms: i64) -> String {
    let (days, time) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000));
    // Days to civil date (proleptic Gregorian), counting years from March so that the leap day comes last.
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (hour, minute, second, milli) = (time / 3_600_000, time / 60_000 % 60, time / 1_000 % 60, time % 1_000);
    let year = if (0..=9_999).contains(&year) { format!("{year:04}") } else { format!("{year:+07}") };
    format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Undefined | Value::Null => serializer.serialize_unit(),
            Value::Bool(b) => serializer.serialize_bool(*b),
            Value::Int(i) => serializer.serialize_i64(*i),
            // JavaScript prints 5.0 as 5 and NaN as null.
            Value::Float(f) if f.fract() == 0.0 && f.abs() < 9.0e15 => serializer.serialize_i64(*f as i64),
            Value::Float(f) => serializer.serialize_f64(*f),
            Value::String(s) => serializer.serialize_str(s),
            Value::Bytes(bytes) => {
                let mut map = serializer.serialize_map(Some(2))?;
                map.serialize_entry("type", "Buffer")?;
                map.serialize_entry("data", bytes.as_ref())?;
                map.end()
            }
            Value::Date(ms) => serializer.serialize_str(&date_text(*ms)),
            Value::Array(items) => {
                let mut seq = serializer.serialize_seq(Some(items.len()))?;
                for item in items.iter() {
                    seq.serialize_element(item)?;
                }
                seq.end()
            }
            Value::Object(map) => map.serialize(serializer),
            Value::Json(lazy) => lazy.value().serialize(serializer),
        }
    }
}

impl Serialize for Map {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (key, value) in self.iter().filter(|(_, value)| !value.is_undefined()) {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(ByteString::from(value)))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(ByteString::from(value)))
    }

    fn visit_bytes<E>(self, value: &[u8]) -> Result<Value, E> {
        Ok(Value::Bytes(Bytes::copy_from_slice(value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        // A hint from the input must not decide how much memory is taken.
        let mut items = Vec::with_capacity(seq.size_hint().unwrap_or(0).min(1_024));
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut map = Map::with_capacity(4);
        while let Some((key, value)) = access.next_entry::<compact_str::CompactString, Value>()? {
            map.insert(key, value);
        }
        Ok(Value::object(map))
    }
}

/// Node-RED's JSON form of a Buffer, `{"type":"Buffer","data":[…]}`, read back as bytes.
fn buffer_from(map: &Map) -> Option<Value> {
    if map.len() != 2 || map.get("type")?.as_str()? != "Buffer" {
        return None;
    }
    let data = map.get("data")?.as_array()?;
    let bytes: Option<Vec<u8>> = data.iter().map(|item| u8::try_from(item.as_i64()?).ok()).collect();
    bytes.map(|bytes| Value::Bytes(Bytes::from(bytes)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn text_goes_round() {
        let text = r#"{"a":[1,2.5,null,true,"x"],"b":{"c":-3}}"#;
        assert_eq!(Value::from_json(text).unwrap().to_json(), text);
    }

    #[test]
    fn lazy_json_is_written_as_it_came_and_read_when_asked() {
        let text = Bytes::from_static(b"{ \"t\" : 30.50 }");
        let value = Value::lazy_json(text.clone()).unwrap();
        assert_eq!(value.get("t").and_then(Value::as_f64), Some(30.5));
        assert_eq!(value.to_json().as_bytes(), &text);
        assert!(Value::lazy_json(Bytes::from_static(b"{\"t\":")).is_err());
        assert_eq!(Value::lazy_json(Bytes::from_static(b" 5 ")).unwrap(), Value::Int(5));
    }

    #[test]
    fn what_json_lacks_has_a_json_form() {
        let map: Map =
            [("gone", Value::Undefined), ("b", Value::Bytes(Bytes::from_static(&[1, 2]))), ("d", Value::Date(0))]
                .into_iter()
                .collect();
        let text = Value::object(map).to_json();
        assert_eq!(text, r#"{"b":{"type":"Buffer","data":[1,2]},"d":"1970-01-01T00:00:00.000Z"}"#);
        let back = Value::from_json(&text).unwrap();
        assert_eq!(back.get("b").unwrap().type_name(), "object");
        let back = back.with_buffers();
        assert_eq!(back.get("b"), Some(&Value::Bytes(Bytes::from_static(&[1, 2]))));
    }

    #[test]
    fn dates_and_numbers_print_as_in_javascript() {
        assert_eq!(date_text(951_782_400_000), "2000-02-29T00:00:00.000Z");
        assert_eq!(date_text(-1), "1969-12-31T23:59:59.999Z");
        assert_eq!(Value::Float(5.0).to_json(), "5");
        assert_eq!(Value::Float(1e21).to_text(), "1e+21");
        assert_eq!(Value::Float(1.5e-7).to_text(), "1.5e-7");
        assert_eq!(Value::Float(0.1).to_text(), "0.1");
    }
}
