//! Events as values: what nodes send on, what templates name, and properties of data found without parsing the rest.

use std::fmt;

use bytes::Bytes;
use serde::Deserialize as _;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use tidewire_model::event::time::format_rfc3339;
pub(crate) use tidewire_model::event::value::{attribute, data};
use tidewire_model::event::{BINARY, Body, Event, JSON};
use tidewire_model::value::{Path, Segment, write_json};
use tidewire_model::{Map, Problem, Value};

use super::locate::{Located, locate};

/// A value as the data of an event, with its content type; `None` for undefined.
pub(crate) fn encode(value: &Value) -> Option<(Bytes, &'static str)> {
    match value {
        Value::Undefined => None,
        Value::Bytes(bytes) => Some((bytes.clone(), BINARY)),
        Value::Json(lazy) => Some((lazy.bytes().clone(), JSON)),
        other => {
            let mut out = Vec::with_capacity(64);
            write_json(other, &mut out);
            Some((Bytes::from(out), JSON))
        }
    }
}

/// The envelope as the property `event` of a message: CloudEvents names, positions and versions as numbers.
pub(crate) fn envelope(event: &Event) -> Map {
    let mut map = Map::with_capacity(12);
    map.insert("id", Value::string(event.id.to_compact()));
    map.insert("source", event.source.as_str());
    map.insert("type", event.event_type.as_str());
    map.insert("subject", event.stream.as_str());
    map.insert("stream", event.stream.as_str());
    map.insert("time", format_rfc3339(event.time));
    map.insert("position", event.position.get());
    map.insert("version", event.version);
    map.insert("recordedtime", format_rfc3339(event.recorded_time));
    for (name, cause) in [("causationid", &event.causation_id), ("correlationid", &event.correlation_id)] {
        if let Some(cause) = cause {
            map.insert(name, Value::string(cause.to_compact()));
        }
    }
    for (name, text) in [
        ("actor", &event.actor),
        ("flowrev", &event.flow_rev),
        ("nodeid", &event.node_id),
        ("keyid", &event.key_id),
        ("dataschema", &event.data_schema),
    ] {
        if let Some(text) = text {
            map.insert(name, text.as_str());
        }
    }
    if let Some(extensions) = event.extensions.to_value() {
        map.insert("extensions", extensions);
    }
    match &event.body {
        Body::Erased => map.insert("erased", true),
        Body::Unreadable(reason) => map.insert("dataproblem", &**reason),
        Body::Whole | Body::Stored(_) => {}
    }
    map
}

/// A path into the data of events.
///
/// # Errors
/// A problem at `at`: no path, or one that depends on another property.
pub(crate) fn data_path(text: &str, at: &str) -> Result<Path, Problem> {
    let text = text.strip_prefix("data.").unwrap_or(text);
    let path = Path::parse(text).map_err(|error| Problem::error(at, error.to_string()))?;
    if path.segments().iter().any(|segment| matches!(segment, Segment::Nested(_))) {
        return Err(Problem::error(at, "a path into an event's data cannot depend on a message"));
    }
    Ok(path)
}

/// The value at a path in an event's data, without building the rest; `None` when there is none.
///
/// # Errors
/// When the data claims to be JSON and is not, or cannot be read.
pub(crate) fn find(event: &Event, path: &Path) -> Result<Option<Value>, String> {
    if let Body::Unreadable(reason) = &event.body {
        return Err(reason.to_string());
    }
    if !event.is_json() || event.body != Body::Whole {
        return Ok(None);
    }
    match locate(&event.data, path.segments()) {
        Located::Nothing => return Ok(None),
        Located::At(text) => {
            if let Ok(value) = serde_json::from_slice(text) {
                return Ok(Some(value));
            }
        }
        Located::Unsure => {}
    }
    parse_at(&event.data, path).map_err(|error| format!("the data is not JSON: {error}"))
}

/// The value at a path in JSON text, all of which is parsed.
pub(super) fn parse_at(json: &[u8], path: &Path) -> Result<Option<Value>, serde_json::Error> {
    let mut json = serde_json::Deserializer::from_slice(json);
    let found = Seek(path.segments()).deserialize(&mut json)?;
    json.end().map(|()| found)
}

struct Seek<'p>(&'p [Segment]);

impl<'de> DeserializeSeed<'de> for Seek<'_> {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        match self.0.split_first() {
            None => Value::deserialize(deserializer).map(Some),
            Some((step, rest)) => deserializer.deserialize_any(Step { step, rest }),
        }
    }
}

struct Step<'p> {
    step: &'p Segment,
    rest: &'p [Segment],
}

/// Whether a key is the one that is looked for.
struct KeyIs<'p>(&'p Segment);

impl<'de> DeserializeSeed<'de> for KeyIs<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeyIs<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, text: &str) -> Result<bool, E> {
        Ok(match self.0 {
            Segment::Key(key) => key == text,
            Segment::Index(index) => text.parse() == Ok(*index),
            Segment::Nested(_) => false,
        })
    }
}

impl<'de> Visitor<'de> for Step<'_> {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(hit) = map.next_key_seed(KeyIs(self.step))? {
            if hit {
                found = map.next_value_seed(Seek(self.rest))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let wanted = match self.step {
            Segment::Index(index) => Some(*index),
            Segment::Key(key) => key.parse().ok(),
            Segment::Nested(_) => None,
        };
        let mut found = None;
        for index in 0_usize.. {
            if Some(index) == wanted {
                match items.next_element_seed(Seek(self.rest))? {
                    Some(item) => found = item,
                    None => break,
                }
            } else if items.next_element::<IgnoredAny>()?.is_none() {
                break;
            }
        }
        Ok(found)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bytes<E: serde::de::Error>(self, _: &[u8]) -> Result<Self::Value, E> {
        Err(E::custom("bytes in JSON"))
    }
}

/// A time that a device gave: a date, RFC 3339 text, or a number of seconds or milliseconds since 1970. `None` for what
/// is no time, or one before 2000 or more than a day ahead: the clock of such a device is not set.
pub(crate) fn device_time(value: &Value, now_ms: i64) -> Option<i64> {
    const YEAR_2000: i64 = 946_684_800_000;
    const DAY: i64 = 86_400_000;
    let ms = match value.resolved() {
        Value::Date(ms) => *ms,
        Value::String(text) => tidewire_model::event::time::parse_rfc3339(text)?,
        number => {
            let number = number.as_f64()?;
            let ms = if number.abs() < 1.0e11 { number * 1_000.0 } else { number };
            if !ms.is_finite() || ms.abs() > 9.0e15 {
                return None;
            }
            ms as i64
        }
    };
    (YEAR_2000..=now_ms.saturating_add(DAY)).contains(&ms).then_some(ms)
}

/// An event for tests of nodes.
#[cfg(test)]
pub(crate) fn test_event(position: u64, stream: &str, content_type: &str, data: &str) -> Event {
    use tidewire_model::event::{EventId, NewEvent, Place, StreamName};
    use tidewire_model::position::Position;
    let stream = StreamName::new(stream).unwrap_or_else(|error| panic!("{error}"));
    let place = Place { stream, position: Position::new(position), version: position, recorded_time: 2_000 };
    let data = Bytes::copy_from_slice(data.as_bytes());
    let event = NewEvent { time: Some(1_000), ..NewEvent::new("reading-reported", content_type, data) };
    event.record(|| EventId::Bits(u128::from(position)), place)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(path: &str, json: &str) -> Option<Value> {
        find(&test_event(1, "thing-a", JSON, json), &data_path(path, "/property").unwrap()).unwrap()
    }

    #[test]
    fn a_property_is_found_as_if_all_were_parsed() {
        let json = r#"{"a":{"b":[{"c d":1},2.5]},"n":null,"s":"x\n","a2":7}"#;
        for path in ["a", "a.b", "a.b[0]", r#"a.b[0]["c d"]"#, "a.b[1]", "a.b.1", "n", "s", "a2", "x", "s.x", "a.b[9]"]
        {
            let whole = Value::from_json(json).unwrap();
            let expected = Path::parse(path).unwrap().get(whole.as_object().unwrap()).cloned();
            assert_eq!(read(path, json), expected, "{path}");
        }
        assert_eq!(read("data.a2", json), Some(Value::Int(7)));
        assert!(find(&test_event(1, "thing-a", JSON, "{\"a\":1"), &data_path("a", "/p").unwrap()).is_err());
        assert!(data_path("a[msg.x]", "/p").is_err());
    }

    #[test]
    fn data_keeps_its_kind() {
        assert_eq!(data(&test_event(1, "thing-a", JSON, "21.5")), Value::Float(21.5));
        assert_eq!(data(&test_event(1, "thing-a", "text/plain", "21.5")), Value::string("21.5"));
        assert_eq!(data(&test_event(1, "thing-a", BINARY, "ab")), Value::Bytes("ab".into()));
        let (bytes, kind) = encode(&Value::lazy_json("{ \"a\": 1.0 }".into()).unwrap()).unwrap();
        assert_eq!((&*bytes, kind), (&b"{ \"a\": 1.0 }"[..], JSON));
        assert_eq!(encode(&Value::Undefined), None);
        assert_eq!(attribute(&test_event(1, "thing-a-b", JSON, "1"), "thing"), Some(Value::string("a-b")));
    }

    #[test]
    fn times_of_devices_are_taken_when_they_can_be_true() {
        let now = 1_700_000_000_000;
        for (value, expected) in [
            (Value::Int(1_699_999_999_000), Some(1_699_999_999_000)),
            (Value::Float(1_699_999_999.5), Some(1_699_999_999_500)),
            (Value::string("2023-11-14T22:13:19Z"), Some(1_699_999_999_000)),
            (Value::Date(now), Some(now)),
            (Value::Int(17), None),
            (Value::Int(1_900_000_000_000), None),
            (Value::string("noon"), None),
            (Value::Float(f64::NAN), None),
        ] {
            assert_eq!(device_time(&value, now), expected, "{value:?}");
        }
    }
}
