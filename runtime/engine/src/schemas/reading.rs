//! Bringing events into the form of the latest version.

use std::sync::Arc;

use bytes::Bytes;
use compact_str::CompactString;
use tidewire_model::event::{Event, JSON, Upcast};
use tidewire_model::value::write_json;
use tidewire_model::{Map, Value};

use super::registry::{AllFigures, Known};

/// The event in the latest form; `None` when it has that already. One that cannot be brought there is handed out as it is
/// stored, and says why.
pub(super) fn upcast(known: &Known, figures: &AllFigures, event: &Arc<Event>) -> Option<Arc<Event>> {
    let schemas = known.types.get(&event.event_type)?;
    let stored = version_of(event);
    let mut steps = schemas.versions.range(stored + 1..).peekable();
    steps.peek().and_then(|(_, version)| version.script.as_ref())?;
    match bring(event, stored, steps.map(|(number, version)| (*number, version.script.as_deref()))) {
        Ok(whole) => Some(Arc::new(whole)),
        Err(reason) => {
            figures.count(&event.event_type, |figures| {
                figures.upcast_failed += 1;
                figures.last_failure = Some(format!("event {} at position {}: {reason}", event.id, event.position));
            });
            let failed = Event { upcast: Some(Upcast::Failed(Arc::from(reason))), ..Event::clone(event) };
            Some(Arc::new(failed))
        }
    }
}

/// The version that the data was stored in. An event that names none is of the first.
fn version_of(event: &Event) -> u32 {
    let number = event.data_schema.as_deref().and_then(|name| name.rsplit_once('/')?.1.parse().ok());
    number.unwrap_or(1)
}

fn bring<'a>(
    event: &Arc<Event>,
    stored: u32,
    steps: impl Iterator<Item = (u32, Option<&'a tidewire_script::Script>)>,
) -> Result<Event, String> {
    if !event.is_json() {
        return Err(format!("its data is {}, not JSON", event.data_content_type));
    }
    let mut data = Value::lazy_json(event.data.clone()).map_err(|error| format!("its data is not JSON: {error}"))?;
    let mut reached = stored;
    for (number, script) in steps {
        // Without a script nobody knows how to get any further.
        let Some(script) = script else { break };
        let envelope = Value::object(envelope(event, reached));
        data =
            script.call(&[data, envelope]).map_err(|error| format!("from version {reached} to {number}: {error}"))?;
        reached = number;
    }
    let mut bytes = Vec::with_capacity(event.data.len() + 64);
    write_json(&data, &mut bytes);
    Ok(Event {
        data: Bytes::from(bytes),
        data_content_type: CompactString::const_new(JSON),
        data_schema: Some(compact_str::format_compact!("{}/{reached}", event.event_type)),
        upcast: Some(Upcast::From(Arc::clone(event))),
        ..Event::clone(event)
    })
}

/// What a script sees of the event around the data.
fn envelope(event: &Event, version: u32) -> Map {
    let mut map = Map::with_capacity(10);
    map.insert("id", Value::string(event.id.to_compact()));
    map.insert("type", event.event_type.as_str());
    map.insert("stream", event.stream.as_str());
    map.insert("source", event.source.as_str());
    map.insert("time", event.time);
    map.insert("recordedtime", event.recorded_time);
    map.insert("position", event.position.get());
    map.insert("version", event.version);
    map.insert("schemaversion", u64::from(version));
    if let Some(actor) = &event.actor {
        map.insert("actor", actor.as_str());
    }
    if let Some(raw) = &event.raw {
        map.insert("rawtopic", raw.topic.as_str());
        map.insert("raw", Value::Bytes(raw.payload.clone()));
    }
    map
}
