//! Things with their last known values: a read model over all streams of the category `thing`.

use std::sync::Arc;

use parking_lot::Mutex;
use tidewire_engine::projections::ProjectionService;
use tidewire_model::event::{Body, Event, StreamName};
use tidewire_model::query::Filter;
use tidewire_model::{Map, Value};
use tidewire_node_api::handles::{Entry, HandleError, Keys, ProjectionGuard, ProjectionSpec, Projections, Reducer};

/// Name of the read model; `$` keeps it apart from those of flows.
pub const NAME: &str = "$things";
const PREFIX: &str = "thing-";
/// Properties kept per thing: a broken device must not fill the disk with names.
const PROPERTIES_MAX: usize = 200;

/// Keeps the read model.
pub struct Things {
    projections: ProjectionService,
    guard: Mutex<Option<Box<dyn ProjectionGuard>>>,
}

impl Things {
    pub fn keep(projections: &ProjectionService) -> Things {
        let spec = ProjectionSpec {
            name: NAME.to_owned(),
            filter: Filter::category("thing"),
            definition: "things 1".to_owned(),
            reducer: Arc::new(Latest),
        };
        let guard = projections.keep(spec, Box::new(|_| ()));
        let guard = guard.inspect_err(|error| tracing::error!(error = %error, "things are not kept")).ok();
        Things { projections: projections.clone(), guard: Mutex::new(guard) }
    }

    pub fn stop(&self) {
        self.guard.lock().take();
    }

    /// # Errors
    /// When the store cannot be read.
    pub fn page(&self, after: Option<&str>, limit: usize) -> Result<Vec<Entry>, HandleError> {
        self.projections.page(NAME, "", after, limit)
    }

    /// # Errors
    /// When the store cannot be read.
    pub async fn get(&self, id: &str) -> Result<Option<Entry>, HandleError> {
        self.projections.get(NAME, id).await
    }
}

struct Latest;

impl Reducer for Latest {
    fn key(&self, event: &Event) -> Option<String> {
        event.stream.as_str().strip_prefix(PREFIX).filter(|id| !id.is_empty()).map(str::to_owned)
    }

    fn keys_of(&self, stream: &StreamName) -> Option<Keys> {
        stream.as_str().strip_prefix(PREFIX).map(|id| Keys::One(id.to_owned()))
    }

    fn apply(&self, state: Option<&Value>, event: &Event) -> Result<Value, String> {
        let old = state.and_then(Value::as_object);
        let mut properties =
            old.and_then(|old| old.get("properties")).and_then(Value::as_object).cloned().unwrap_or_default();
        let data = read_data(event);
        match data.as_object() {
            // The data was erased, or cannot be read.
            _ if event.body != Body::Whole => {}
            // A reading in the usual forms: {"property": "t", "value": 21}, or values by name.
            Some(map) if map.get("property").and_then(Value::as_str).is_some() && map.contains_key("value") => {
                let name = map.get("property").and_then(Value::as_str).unwrap_or("value");
                put(&mut properties, name, map.get("value"), map.get("unit"), event.time);
            }
            Some(map) => map.iter().for_each(|(name, value)| put(&mut properties, name, Some(value), None, event.time)),
            None => put(&mut properties, "value", Some(&data), None, event.time),
        }
        let seen = old.and_then(|old| old.get("events")).and_then(Value::as_i64).unwrap_or(0);
        let mut next = Map::with_capacity(3);
        next.insert("properties", Value::object(properties));
        next.insert("lastSeen", event.time);
        next.insert("events", seen + 1);
        Ok(Value::object(next))
    }
}

/// The data of an event as a value; text where it is no JSON.
pub fn read_data(event: &Event) -> Value {
    if event.is_json() {
        return Value::lazy_json(event.data.clone()).unwrap_or(Value::Undefined);
    }
    std::str::from_utf8(&event.data).map_or(Value::Undefined, Value::string)
}

/// Keeps a scalar; what is nested or very long is no property.
fn put(properties: &mut Map, name: &str, value: Option<&Value>, unit: Option<&Value>, time: i64) {
    let Some(value) = value.map(Value::resolved) else { return };
    let fits = match value {
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Date(_) => true,
        Value::String(text) => text.len() <= 1_000,
        _ => false,
    };
    if !fits || name.len() > 100 || (properties.len() >= PROPERTIES_MAX && !properties.contains_key(name)) {
        return;
    }
    let mut entry = Map::with_capacity(3);
    entry.insert("value", value.clone());
    entry.insert("time", time);
    if let Some(unit) = unit.and_then(Value::as_str) {
        entry.insert("unit", unit);
    }
    properties.insert(name, Value::object(entry));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tidewire_model::event::{EventId, JSON, NewEvent, Place, StreamName};
    use tidewire_model::position::Position;

    fn event(data: &str) -> Event {
        let stream = StreamName::new("thing-greenhouse/1").unwrap();
        let place = Place { stream, position: Position::FIRST, version: 1, recorded_time: 7 };
        NewEvent::new("reading-reported", JSON, data.to_owned()).record(|| EventId::from("e"), place)
    }

    #[test]
    fn readings_of_all_usual_forms_become_properties() {
        let mut state = Value::Undefined;
        for data in [r#"{"t":21.5,"nested":{"a":1}}"#, r#"{"property":"soil","value":12,"unit":"%"}"#, "7"] {
            state = Latest.apply(Some(&state), &event(data)).unwrap();
        }
        let json = r#"{"properties":{"t":{"value":21.5,"time":7},"soil":{"value":12,"time":7,"unit":"%"},"value":{"value":7,"time":7}},"lastSeen":7,"events":3}"#;
        assert_eq!(state.to_json(), json);
        assert_eq!(Latest.key(&event("1")).unwrap(), "greenhouse/1");
    }
}
