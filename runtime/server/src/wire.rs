//! Values in the JSON forms of the API: messages with what JSON lacks, and Node-RED's encoding for the debug panel.

mod debug;

pub use debug::{encode as debug_encode, preview};

use serde_json::{Map as JsonMap, Value as Json, json};
use tidewire_model::{Map, Value};

fn wrap(kind: &str, data: Json) -> Json {
    json!({"__enc__": true, "type": kind, "data": data})
}

/// A value as JSON. Bytes become `{"type":"Buffer","data":[…]}`; what JSON lacks, `{"__enc__":true,"type","data"}`.
pub fn to_json(value: &Value) -> Json {
    match value.resolved() {
        Value::Undefined => json!({"__enc__": true, "type": "undefined"}),
        Value::Float(number) if !number.is_finite() => wrap("number", Json::String(value.to_text().into_owned())),
        Value::Date(_) => wrap("date", Json::String(value.to_text().into_owned())),
        Value::Array(items) => Json::Array(items.iter().map(to_json).collect()),
        Value::Object(map) => {
            Json::Object(map.iter().map(|(key, value)| (key.to_owned(), to_json(value))).collect::<JsonMap<_, _>>())
        }
        plain => tidewire_model::value::to_json_value(plain),
    }
}

/// The other way round.
pub fn from_json(json: &Json) -> Value {
    match json {
        Json::Array(items) => Value::array(items.iter().map(from_json).collect()),
        Json::Object(map) => special(map).unwrap_or_else(|| {
            Value::object(map.iter().map(|(key, value)| (key.as_str(), from_json(value))).collect::<Map>())
        }),
        plain => Value::from(plain),
    }
}

fn special(map: &JsonMap<String, Json>) -> Option<Value> {
    let kind = map.get("type").and_then(Json::as_str)?;
    if kind == "Buffer" && map.len() == 2 {
        let bytes = map.get("data")?.as_array()?.iter().map(|byte| u8::try_from(byte.as_u64()?).ok());
        return bytes.collect::<Option<Vec<u8>>>().map(|bytes| Value::Bytes(bytes.into()));
    }
    if map.get("__enc__") != Some(&Json::Bool(true)) {
        return None;
    }
    let data = map.get("data").unwrap_or(&Json::Null);
    Some(match kind {
        "undefined" => Value::Undefined,
        "number" => Value::Float(Value::from(data).to_number()),
        "date" => data.as_str().and_then(tidewire_model::event::time::parse_rfc3339).map_or(Value::Null, Value::Date),
        "bigint" => data.as_str().and_then(|text| text.parse().ok()).map_or(Value::Null, Value::Int),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_json_lacks_survives_the_round_trip() {
        let mut map = Map::new();
        map.insert("u", Value::Undefined);
        map.insert("n", f64::NAN);
        map.insert("d", Value::Date(1_500));
        map.insert("b", Value::Bytes(vec![1, 2].into()));
        let json = to_json(&Value::object(map));
        let back = from_json(&json);
        assert!(back.get("u").unwrap().is_undefined());
        assert!(back.get("n").unwrap().as_f64().unwrap().is_nan());
        assert_eq!(back.get("d"), Some(&Value::Date(1_500)));
        assert_eq!(back.get("b"), Some(&Value::Bytes(vec![1, 2].into())));
        assert_eq!(json.get("b").unwrap().to_string(), r#"{"type":"Buffer","data":[1,2]}"#);
    }
}
