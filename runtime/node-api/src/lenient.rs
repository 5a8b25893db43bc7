//! Numbers and booleans as Node-RED's flow files write them: often as text, sometimes as an empty text.
//!
//! Use with `#[serde(deserialize_with = "lenient::number")]` and `#[schemars(schema_with = "lenient::number_schema")]`.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};
use serde_json::Value as Json;

/// A number, or text that holds one. Empty text and null read as 0.
///
/// # Errors
/// When the text is no number.
pub fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(optional_number(deserializer)?.unwrap_or(0.0))
}

/// A number, text that holds one, or nothing (missing, null, empty text).
///
/// # Errors
/// When the text is no number.
pub fn optional_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    match Json::deserialize(deserializer)? {
        Json::Null => Ok(None),
        Json::Number(number) => Ok(number.as_f64()),
        Json::String(text) if text.trim().is_empty() => Ok(None),
        Json::String(text) => match text.trim().parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(serde::de::Error::custom(format!("\"{text}\" is not a number"))),
        },
        other => Err(serde::de::Error::custom(format!("{other} is not a number"))),
    }
}

/// A boolean, or text or number that means one. Empty text and null read as false.
///
/// # Errors
/// When it means neither.
pub fn boolean<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    match Json::deserialize(deserializer)? {
        Json::Bool(value) => Ok(value),
        Json::Null => Ok(false),
        Json::Number(number) => Ok(number.as_f64() != Some(0.0)),
        Json::String(text) => match text.trim() {
            "" | "false" | "0" | "no" | "off" => Ok(false),
            "true" | "1" | "yes" | "on" => Ok(true),
            other => Err(serde::de::Error::custom(format!("\"{other}\" is neither true nor false"))),
        },
        other => Err(serde::de::Error::custom(format!("{other} is neither true nor false"))),
    }
}

/// Text; numbers and booleans are written out, null is empty.
///
/// # Errors
/// For arrays and objects.
pub fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    match Json::deserialize(deserializer)? {
        Json::String(text) => Ok(text),
        Json::Null => Ok(String::new()),
        Json::Bool(value) => Ok(value.to_string()),
        Json::Number(number) => Ok(number.to_string()),
        other => Err(serde::de::Error::custom(format!("{other} is not text"))),
    }
}

/// Schema of [`number`] and [`optional_number`].
pub fn number_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": ["number", "string", "null"],
        "pattern": r"^\s*(-?\d+(\.\d+)?([eE][-+]?\d+)?|\$\{[^}]+\})?\s*$",
        "x-widget": "number"
    })
}

/// Schema of [`boolean`].
pub fn boolean_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["boolean", "string", "number", "null"], "x-widget": "checkbox" })
}

/// Schema of [`text`].
pub fn text_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "number", "boolean", "null"], "x-widget": "text" })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[derive(Deserialize)]
    struct Config {
        #[serde(deserialize_with = "number")]
        port: f64,
        #[serde(deserialize_with = "boolean")]
        retain: bool,
        #[serde(default, deserialize_with = "optional_number")]
        qos: Option<f64>,
    }

    #[test]
    fn text_stands_for_numbers_and_booleans() {
        let config: Config = serde_json::from_str(r#"{"port":"1883","retain":"true","qos":""}"#).unwrap();
        assert_eq!((config.port, config.retain, config.qos), (1883.0, true, None));
        assert!(serde_json::from_str::<Config>(r#"{"port":"x","retain":false}"#).is_err());
    }
}
