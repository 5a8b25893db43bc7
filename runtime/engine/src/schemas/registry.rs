//! What is registered, folded from its events, and what is counted.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use compact_str::CompactString;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};
use tidewire_model::Problem;
use tidewire_model::event::{Event, NewEvent, is_json_type};
use tidewire_model::position::Position;
use tidewire_model::query::{Filter, wildcard_matches};
use tidewire_node_api::schema::Validator;
use tidewire_script::Script;

use super::{MODE_SET, Mode, REGISTERED, REMOVED};

/// All types with their schemas.
#[derive(Clone, Default)]
pub(super) struct Known {
    pub(super) types: BTreeMap<CompactString, TypeSchemas>,
}

/// The schemas of one event type.
#[derive(Clone, Default)]
pub struct TypeSchemas {
    /// What happens to data that does not follow them.
    pub mode: Mode,
    /// By number, from 1.
    pub versions: BTreeMap<u32, Version>,
}

/// One version of a type.
#[derive(Clone)]
pub struct Version {
    /// The JSON Schema; none: any data.
    pub schema: Option<Json>,
    /// The script that makes it from the version before.
    pub upcast: Option<String>,
    /// Where it was registered.
    pub position: Position,
    validator: Option<Arc<Validator>>,
    pub(super) script: Option<Arc<Script>>,
}

/// What was counted for a type since the start.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Figures {
    /// Events that were refused.
    pub refused: u64,
    /// Events that were stored though they do not follow their schema.
    pub warned: u64,
    /// What was wrong with the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_problem: Option<String>,
    /// How often an event could not be brought into the latest form.
    pub upcast_failed: u64,
    /// Why, the last time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<String>,
}

/// Figures of all types.
#[derive(Default)]
pub(super) struct AllFigures(Mutex<HashMap<CompactString, Figures>>);

impl AllFigures {
    pub(super) fn of(&self, event_type: &str) -> Figures {
        self.0.lock().get(event_type).cloned().unwrap_or_default()
    }

    pub(super) fn count(&self, event_type: &str, count: impl FnOnce(&mut Figures)) {
        count(self.0.lock().entry(event_type.into()).or_default());
    }
}

/// Compiles a schema.
pub(super) fn validator(schema: &Json) -> Result<Validator, String> {
    if !schema.is_object() && !schema.is_boolean() {
        return Err("is no JSON Schema; use an object".to_owned());
    }
    Validator::new(schema)
}

/// Compiles an upcaster.
pub(super) fn script(text: &str) -> Result<Script, String> {
    Script::compile_function(text, "upcast", 2).map_err(|error| error.to_string())
}

/// What an event of the registry says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Record {
    r#type: CompactString,
    version: Option<u32>,
    schema: Option<Json>,
    upcast: Option<String>,
    mode: Mode,
}

impl Record {
    pub(super) fn read(data: &Json) -> Self {
        Self::deserialize(data).unwrap_or_default()
    }
}

impl Known {
    pub(super) fn apply(&mut self, event: &Event) {
        let data = event.data_json().unwrap_or_default();
        self.apply_record(&event.event_type, &Record::read(&data), event.position);
    }

    pub(super) fn apply_record(&mut self, what: &str, record: &Record, position: Position) {
        if record.r#type.is_empty() {
            return;
        }
        match (what, record.version) {
            (REGISTERED, Some(version)) => {
                let schemas = self.types.entry(record.r#type.clone()).or_default();
                let compiled = Version {
                    schema: record.schema.clone(),
                    upcast: record.upcast.clone(),
                    position,
                    // They were compiled before they were registered.
                    validator: record.schema.as_ref().and_then(|schema| validator(schema).ok()).map(Arc::new),
                    script: record.upcast.as_deref().and_then(|text| script(text).ok()).map(Arc::new),
                };
                schemas.versions.insert(version, compiled);
            }
            (REMOVED, Some(version)) => {
                if let Some(schemas) = self.types.get_mut(&record.r#type) {
                    schemas.versions.remove(&version);
                    if schemas.versions.is_empty() {
                        self.types.remove(&record.r#type);
                    }
                }
            }
            (REMOVED, None) => drop(self.types.remove(&record.r#type)),
            (MODE_SET, _) => {
                if let Some(schemas) = self.types.get_mut(&record.r#type) {
                    schemas.mode = record.mode;
                }
            }
            _ => {}
        }
    }

    /// Stands for the scripts that work on the events of a filter; empty when there are none.
    pub(super) fn form_of(&self, filter: &Filter) -> String {
        let meant = |name: &str| {
            filter.event_types.is_empty() || filter.event_types.iter().any(|pattern| wildcard_matches(pattern, name))
        };
        let mut hash = Sha256::new();
        let mut any = false;
        for (name, schemas) in self.types.iter().filter(|(name, _)| meant(name)) {
            for (number, version) in &schemas.versions {
                let Some(text) = &version.upcast else { continue };
                any = true;
                for part in [name.as_str(), &number.to_string(), text] {
                    hash.update((part.len() as u64).to_le_bytes());
                    hash.update(part);
                }
            }
        }
        let digest = hash.finalize();
        if !any {
            return String::new();
        }
        digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }
}

impl TypeSchemas {
    /// The version that an event means: the one that it names, else the latest. `None` when it follows a schema that
    /// is not ours.
    pub(super) fn meant_by(&self, data_schema: Option<&str>) -> Option<(u32, &Version)> {
        let latest = || self.versions.last_key_value().map(|(number, version)| (*number, version));
        match data_schema {
            None => latest(),
            Some(name) => {
                let number = name.rsplit_once('/')?.1.parse().ok()?;
                self.versions.get(&number).map(|version| (number, version))
            }
        }
    }
}

impl Version {
    /// What is wrong with the data of a proposal.
    pub(super) fn problems(&self, event: &NewEvent) -> Vec<Problem> {
        let Some(validator) = &self.validator else { return Vec::new() };
        if !is_json_type(&event.data_content_type) {
            return vec![Problem::error("", format!("is {}, not JSON", event.data_content_type))];
        }
        match serde_json::from_slice(&event.data) {
            Ok(data) => validator.problems(&data),
            Err(error) => vec![Problem::error("", format!("is not JSON: {error}"))],
        }
    }
}
