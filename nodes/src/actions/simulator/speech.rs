//! What virtual things say and understand, per convention. Pure.

use serde_json::{Map, Value as Json, json};
use tidewire_model::Value;

use super::config::{Convention, SimulatorConfig, ThingKind};
use super::thing::Thing;

/// Something to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) topic: String,
    pub(super) payload: String,
    pub(super) retain: bool,
}

/// A convention under a topic prefix.
#[derive(Debug, Clone)]
pub(super) struct Speech {
    convention: Convention,
    prefix: String,
}

impl Speech {
    pub(super) fn new(config: &SimulatorConfig) -> Self {
        Speech { convention: config.convention, prefix: config.prefix().to_owned() }
    }

    fn device(&self, id: &str) -> String {
        match self.convention {
            Convention::Plain => format!("{}/{id}", self.prefix),
            Convention::Homie => format!("{}/5/{id}", self.prefix),
        }
    }

    fn valve(&self, id: &str) -> String {
        match self.convention {
            Convention::Plain => format!("{}/valve", self.device(id)),
            Convention::Homie => format!("{}/valve/open", self.device(id)),
        }
    }

    /// Topic on which a valve takes commands.
    pub(super) fn set_topic(&self, id: &str) -> String {
        format!("{}/set", self.valve(id))
    }

    /// What a thing says when it comes online.
    pub(super) fn hello(&self, thing: &Thing) -> Vec<Said> {
        match self.convention {
            Convention::Plain => Vec::new(),
            Convention::Homie => {
                let device = self.device(&thing.id);
                let said =
                    |key: &str, payload: String| Said { topic: format!("{device}/{key}"), payload, retain: true };
                vec![said("$description", description(thing).to_string()), said("$state", "ready".to_owned())]
            }
        }
    }

    /// What it says when it goes.
    pub(super) fn goodbye(&self, thing: &Thing) -> Option<Said> {
        (self.convention == Convention::Homie).then(|| Said {
            topic: format!("{}/$state", self.device(&thing.id)),
            payload: "disconnected".to_owned(),
            retain: true,
        })
    }

    /// Its readings.
    pub(super) fn readings(&self, thing: &Thing) -> Vec<Said> {
        let device = self.device(&thing.id);
        match self.convention {
            Convention::Plain => {
                let mut body = Map::new();
                for reading in thing.readings() {
                    let value = if reading.is_text { Json::from(reading.text) } else { number(&reading.text) };
                    body.insert(reading.property.to_owned(), value);
                }
                vec![Said { topic: device, payload: Json::Object(body).to_string(), retain: false }]
            }
            Convention::Homie => thing
                .readings()
                .into_iter()
                .map(|reading| Said {
                    topic: format!("{device}/{}/{}", node(thing.kind), property(reading.property)),
                    payload: match (reading.property, thing.is_open) {
                        ("valve" | "door", open) => open.to_string(),
                        _ => reading.text,
                    },
                    retain: true,
                })
                .collect(),
        }
    }

    /// What a command means, and the id it carries; `None` when it is not understood.
    pub(super) fn understand(&self, payload: &[u8]) -> Option<(bool, Option<String>)> {
        let text = String::from_utf8_lossy(payload);
        let value = Value::from_json(text.trim()).unwrap_or_else(|_| Value::string(text.trim()));
        let command = value.get("command").and_then(Value::as_str).map(str::to_owned);
        let wish = match value.as_object() {
            Some(body) => ["valve", "open", "state", "value"].iter().find_map(|key| body.get(key))?,
            None => &value,
        };
        let open = match wish.resolved() {
            Value::Bool(open) => *open,
            Value::Int(number) => *number != 0,
            Value::String(text) => match text.to_ascii_lowercase().as_str() {
                "open" | "on" | "true" | "1" => true,
                "closed" | "close" | "off" | "false" | "0" => false,
                _ => return None,
            },
            _ => return None,
        };
        Some((open, command))
    }

    /// What a valve says at once when it takes a command.
    pub(super) fn accepted(&self, id: &str, open: bool) -> Option<Said> {
        (self.convention == Convention::Homie).then(|| Said {
            topic: format!("{}/$target", self.valve(id)),
            payload: open.to_string(),
            retain: true,
        })
    }

    /// What a valve says when it has carried a command out.
    pub(super) fn answer(&self, thing: &Thing, command: Option<&str>) -> Said {
        let payload = match (self.convention, command) {
            (Convention::Plain, Some(command)) => json!({ "valve": thing.state(), "command": command }).to_string(),
            (Convention::Plain, None) => json!({ "valve": thing.state() }).to_string(),
            (Convention::Homie, _) => thing.is_open.to_string(),
        };
        Said { topic: self.valve(&thing.id), payload, retain: true }
    }
}

fn number(text: &str) -> Json {
    serde_json::from_str(text).unwrap_or(Json::Null)
}

fn node(kind: ThingKind) -> &'static str {
    match kind {
        ThingKind::Soil => "soil",
        ThingKind::Temperature | ThingKind::Humidity => "air",
        ThingKind::Door => "door",
        ThingKind::Valve => "valve",
    }
}

/// Homie names the state of a door or valve `open`.
fn property(name: &'static str) -> &'static str {
    match name {
        "valve" | "door" => "open",
        other => other,
    }
}

fn description(thing: &Thing) -> Json {
    let mut properties = Map::new();
    for reading in thing.readings() {
        let datatype = if reading.is_text { "boolean" } else { "float" };
        let mut facts = Map::new();
        facts.insert("datatype".to_owned(), datatype.into());
        if !reading.unit.is_empty() {
            facts.insert("unit".to_owned(), reading.unit.into());
        }
        if reading.property == "valve" {
            facts.insert("settable".to_owned(), true.into());
        }
        properties.insert(property(reading.property).to_owned(), facts.into());
    }
    let node_name = node(thing.kind);
    json!({ "homie": "5.0", "version": 1, "name": thing.id, "nodes": { node_name: { "properties": properties } } })
}
