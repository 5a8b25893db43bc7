//! Events as values: what templates, conditions and messages see of them.

use super::time::format_rfc3339;
use super::{Body, Event, EventId};
use crate::Value;
use crate::value::ByteString;

/// The attributes that have a name, see [`attribute`].
pub const ATTRIBUTES: [&str; 20] = [
    "id",
    "source",
    "type",
    "subject",
    "stream",
    "category",
    "thing",
    "time",
    "recordedtime",
    "position",
    "version",
    "causationid",
    "correlationid",
    "actor",
    "flowrev",
    "nodeid",
    "keyid",
    "dataschema",
    "extensions",
    "data",
];

/// The data of an event: JSON that is parsed when somebody looks into it, text, or bytes; null when it is gone.
pub fn data(event: &Event) -> Value {
    if event.body != Body::Whole {
        return Value::Null;
    }
    if event.is_json() {
        if let Ok(value) = Value::lazy_json(event.data.clone()) {
            return value;
        }
    } else if event.data_content_type.starts_with("text/")
        && let Ok(text) = ByteString::try_from(event.data.clone())
    {
        return Value::String(text);
    }
    Value::Bytes(event.data.clone())
}

fn id(id: &EventId) -> Value {
    Value::string(id.to_compact())
}

/// What a template over an event finds under a name: an attribute of the envelope, `data`, `category`, or `thing` (what
/// follows the category in the stream), or `extensions` (all extension attributes).
pub fn attribute(event: &Event, name: &str) -> Option<Value> {
    let stream = event.stream.as_str();
    Some(match name {
        "subject" | "stream" => Value::string(stream),
        "type" => Value::string(&event.event_type),
        "data" => data(event),
        "category" => Value::string(event.stream.category()),
        "thing" => Value::string(stream.split_once('-').map_or(stream, |(_, thing)| thing)),
        "id" => id(&event.id),
        "source" => Value::string(&event.source),
        "time" => Value::from(format_rfc3339(event.time)),
        "recordedtime" => Value::from(format_rfc3339(event.recorded_time)),
        "position" => Value::from(event.position.get()),
        "version" => Value::from(event.version),
        "correlationid" => id(event.correlation_id.as_ref()?),
        "causationid" => id(event.causation_id.as_ref()?),
        "actor" => Value::string(event.actor.as_ref()?),
        "flowrev" => Value::string(event.flow_rev.as_ref()?),
        "nodeid" => Value::string(event.node_id.as_ref()?),
        "keyid" => Value::string(event.key_id.as_ref()?),
        "dataschema" => Value::string(event.data_schema.as_ref()?),
        "extensions" => event.extensions.to_value()?,
        _ => return None,
    })
}
