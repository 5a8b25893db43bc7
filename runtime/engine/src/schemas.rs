//! Schemas of event types: checked when events are appended, and scripts that bring older events into the form of the
//! latest version when they are read.
//!
//! What is known stands as events in the stream `$schemas`, so its history is kept like any other. Nothing that is stored
//! is ever changed: an upcaster works on what is handed out.

mod reading;
mod registry;
mod trial;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arc_swap::ArcSwap;
use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use tidewire_log::{Check, EventLog, Hooks, LogError, Upcaster};
use tidewire_model::Problem;
use tidewire_model::append::{AppendError, AppendRequest, ExpectedVersion};
use tidewire_model::event::{NewEvent, StreamName, check_event_type};
use tidewire_model::position::Position;
use tidewire_model::query::{Filter, Query};

pub use registry::{Figures, TypeSchemas, Version};
use registry::{Known, Record};
pub use trial::{Trial, Tried};

/// The stream that holds what is registered.
const STREAM: &str = "$schemas";
const REGISTERED: &str = "tidewire.schema.registered";
const REMOVED: &str = "tidewire.schema.removed";
const MODE_SET: &str = "tidewire.schema.mode-set";
/// Longest schema and script, in bytes.
const TEXT_MAX: usize = 64 * 1024;
/// Most versions of one type, and most types.
const VERSIONS_MAX: u32 = 1_000;
const TYPES_MAX: usize = 1_000;

/// What happens to data that does not follow its schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Nothing is checked.
    Off,
    /// It is stored, and counted.
    #[default]
    Warn,
    /// It is refused.
    Refuse,
}

/// A version of a type, as somebody registers it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// The JSON Schema that data follows; none: any data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Json>,
    /// A rhai script with `fn upcast(data, event)` that makes data of this version from that of the one before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upcast: Option<String>,
}

/// Why something was not registered.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// There is no such type or version.
    #[error("there is no schema {0}")]
    Unknown(String),
    /// What was sent cannot be used.
    #[error("the registration cannot be used: {}", .0.iter().map(problem_text).collect::<Vec<_>>().join("; "))]
    Invalid(Vec<Problem>),
    /// The log could not be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The log did not take it.
    #[error(transparent)]
    Append(#[from] AppendError),
}

/// Called with the event type whose upcasters have changed.
type Changed = Box<dyn Fn(&str) + Send + Sync>;

/// The registry. A clone is the same one.
#[derive(Clone)]
pub struct Schemas {
    inner: Arc<Inner>,
}

struct Inner {
    log: Arc<dyn EventLog>,
    known: ArcSwap<Known>,
    figures: registry::AllFigures,
    changing: tokio::sync::Mutex<()>,
    changed: parking_lot::Mutex<Vec<Changed>>,
    warned: AtomicU64,
}

impl Schemas {
    /// Reads what is registered and checks and reads events by it from then on.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn open(log: Arc<dyn EventLog>) -> Result<Self, LogError> {
        log.ready().await?;
        let (mut known, mut next) = (Known::default(), Some(Position::FIRST));
        while let Some(from) = next {
            let page = log.read(Query::forwards(Filter::stream(STREAM), from, Query::MAX_LIMIT)).await?;
            page.events.iter().for_each(|event| known.apply(event));
            next = page.next;
        }
        let inner = Arc::new(Inner {
            log: Arc::clone(&log),
            known: ArcSwap::from_pointee(known),
            figures: registry::AllFigures::default(),
            changing: tokio::sync::Mutex::default(),
            changed: parking_lot::Mutex::default(),
            warned: AtomicU64::new(0),
        });
        Inner::install(&inner);
        Ok(Self { inner })
    }

    /// Wants to be told when events of a type are read in another form than before.
    pub fn on_change(&self, changed: impl Fn(&str) + Send + Sync + 'static) {
        self.inner.changed.lock().push(Box::new(changed));
    }

    /// What stands for the form in which the events of a filter are read; it changes whenever that does.
    #[must_use]
    pub fn form_of(&self, filter: &Filter) -> String {
        self.inner.known.load().form_of(filter)
    }

    /// The types that have schemas, by name.
    #[must_use]
    pub fn all(&self) -> Vec<(CompactString, TypeSchemas)> {
        self.inner.known.load().types.iter().map(|(name, known)| (name.clone(), known.clone())).collect()
    }

    /// The schemas of one type.
    #[must_use]
    pub fn of(&self, event_type: &str) -> Option<TypeSchemas> {
        self.inner.known.load().types.get(event_type).cloned()
    }

    /// What was counted for a type since the start.
    #[must_use]
    pub fn figures(&self, event_type: &str) -> Figures {
        self.inner.figures.of(event_type)
    }

    /// Registers a version of a type, in place of an earlier registration of it.
    ///
    /// # Errors
    /// Nothing has changed then.
    pub async fn register(
        &self,
        event_type: &str,
        version: u32,
        registration: Registration,
        actor: &str,
    ) -> Result<(), SchemaError> {
        let problems = self.problems(event_type, version, &registration);
        if !problems.is_empty() {
            return Err(SchemaError::Invalid(problems));
        }
        self.record(REGISTERED, event_type, &data_of(event_type, version, &registration), actor).await
    }

    fn problems(&self, event_type: &str, version: u32, registration: &Registration) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut found = |path: &str, text: String| problems.push(Problem::error(path, text));
        if let Err(error) = check_event_type(event_type) {
            found("/type", error.to_string());
        }
        if version == 0 || version > VERSIONS_MAX {
            found("/version", format!("is {version}; use a number from 1 to {VERSIONS_MAX}"));
        }
        let known = self.inner.known.load();
        if known.types.len() >= TYPES_MAX && !known.types.contains_key(event_type) {
            found("/type", format!("is one more than the {TYPES_MAX} types that may have schemas"));
        }
        if let Some(schema) = &registration.schema {
            match schema.to_string().len() {
                len if len > TEXT_MAX => found("/schema", format!("has {len} bytes; {TEXT_MAX} are allowed")),
                _ => drop(registry::validator(schema).map_err(|reason| found("/schema", reason))),
            }
        }
        match &registration.upcast {
            Some(_) if version == 1 => {
                found("/upcast", "makes the first version from one before it, which there is none".to_owned());
            }
            Some(text) if text.len() > TEXT_MAX => {
                found("/upcast", format!("has {} bytes; {TEXT_MAX} are allowed", text.len()));
            }
            Some(text) => drop(registry::script(text).map_err(|reason| found("/upcast", reason))),
            None => {}
        }
        problems
    }

    /// Says what happens to data that does not follow the schema of its type.
    ///
    /// # Errors
    /// Nothing has changed then.
    pub async fn set_mode(&self, event_type: &str, mode: Mode, actor: &str) -> Result<(), SchemaError> {
        self.of(event_type).ok_or_else(|| SchemaError::Unknown(event_type.to_owned()))?;
        self.record(MODE_SET, event_type, &json!({"type": event_type, "mode": mode}), actor).await
    }

    /// Takes a version of a type back, or the whole type.
    ///
    /// # Errors
    /// Nothing has changed then.
    pub async fn remove(&self, event_type: &str, version: Option<u32>, actor: &str) -> Result<(), SchemaError> {
        let known = self.of(event_type);
        let there = known.is_some_and(|known| version.is_none_or(|version| known.versions.contains_key(&version)));
        if !there {
            let version = version.map(|version| format!("/{version}")).unwrap_or_default();
            return Err(SchemaError::Unknown(format!("{event_type}{version}")));
        }
        self.record(REMOVED, event_type, &json!({"type": event_type, "version": version}), actor).await
    }

    async fn record(&self, what: &str, event_type: &str, data: &Json, actor: &str) -> Result<(), SchemaError> {
        let _one_at_a_time = self.inner.changing.lock().await;
        let mut event = NewEvent::json(what, data).with_source("/schemas");
        event.actor = Some(actor.into());
        let stream = StreamName::reserved(STREAM).map_err(AppendError::from)?;
        let request = AppendRequest { stream, expected: ExpectedVersion::Any, events: vec![event] };
        let appended = self.inner.log.append(vec![request]).await?;
        let position = appended.first().map_or(Position::ZERO, |appended| appended.first_position);
        let mut known = Known::clone(&self.inner.known.load());
        let only = Filter::types([event_type]);
        let before = known.form_of(&only);
        known.apply_record(what, &Record::read(data), position);
        let after = known.form_of(&only);
        self.inner.known.store(Arc::new(known));
        Inner::install(&self.inner);
        if before != after {
            self.inner.changed.lock().iter().for_each(|changed| changed(event_type));
        }
        Ok(())
    }
}

/// A problem as `path: text`.
#[must_use]
pub fn problem_text(problem: &Problem) -> String {
    format!("{}: {}", if problem.path.is_empty() { "/" } else { &problem.path }, problem.text)
}

/// What an event of the registry says of a registration.
fn data_of(event_type: &str, version: u32, Registration { schema, upcast }: &Registration) -> Json {
    json!({"type": event_type, "version": version, "schema": schema, "upcast": upcast})
}

impl Inner {
    /// Hooks into the log as far as there is something to do: without schemas and scripts nothing costs anything.
    fn install(inner: &Arc<Self>) {
        let known = inner.known.load();
        let scripts = known.types.values().flat_map(|schemas| schemas.versions.values());
        let upcasts = scripts.into_iter().any(|version| version.script.is_some());
        let (check, upcast) = (Arc::downgrade(inner), Arc::downgrade(inner));
        let check: Check = Arc::new(move |_, event| check.upgrade().map_or(Ok(()), |inner| inner.check(event)));
        let upcast: Upcaster = Arc::new(move |event| {
            let inner = upcast.upgrade()?;
            reading::upcast(&inner.known.load(), &inner.figures, event)
        });
        let hooks = Hooks { check: (!known.types.is_empty()).then_some(check), upcast: upcasts.then_some(upcast) };
        inner.log.bodies().set_hooks(hooks);
    }

    /// Checks data before it is appended, and names the schema that it follows.
    fn check(&self, event: &mut NewEvent) -> Result<(), AppendError> {
        let known = self.known.load();
        let Some(schemas) = known.types.get(&event.event_type) else { return Ok(()) };
        let Some((number, version)) = schemas.meant_by(event.data_schema.as_deref()) else { return Ok(()) };
        if schemas.mode == Mode::Off {
            return Ok(());
        }
        let problems = version.problems(event);
        let schema = compact_str::format_compact!("{}/{number}", event.event_type);
        if problems.is_empty() {
            event.data_schema = Some(schema);
            return Ok(());
        }
        let problems = problems.iter().map(problem_text).collect::<Vec<_>>().join("; ");
        self.figures.count(&event.event_type, |figures| {
            let counted = if schemas.mode == Mode::Refuse { &mut figures.refused } else { &mut figures.warned };
            *counted += 1;
            figures.last_problem = Some(problems.clone());
        });
        if schemas.mode == Mode::Refuse {
            return Err(AppendError::Schema { schema, problems });
        }
        // The first of many that are the same; the figures tell how many there are.
        if self.warned.fetch_add(1, Ordering::Relaxed).is_power_of_two() {
            tracing::warn!(%schema, problems, "event does not follow its schema");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
