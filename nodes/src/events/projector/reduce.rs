//! What a projector computes. Pure. Data is looked into only as far as the definition asks.

use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tidewire_model::event::Event;
use tidewire_model::position::Position;
use tidewire_model::query::{Filter, has_wildcard};
use tidewire_model::value::Path;
use tidewire_model::{Problem, Value};
use tidewire_node_api::handles::Reducer;
use tidewire_script::Script;

use crate::shared::event_value::{attribute, data, envelope, find};
use crate::shared::template::Template;

/// What is kept for each key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ReducerKind {
    /// The latest value.
    #[default]
    Latest,
    /// The first value.
    First,
    /// How many events there were.
    Count,
    /// The sum of the numbers.
    Sum,
    /// The smallest number.
    Min,
    /// The largest number.
    Max,
    /// The arithmetic mean of the numbers.
    Average,
    /// What the script makes of it.
    Script,
}

/// The key of an event.
pub(super) enum KeyTemplate {
    /// The stream, the common case.
    Stream,
    Fixed(String),
    Template(Template),
}

impl KeyTemplate {
    pub(super) fn parse(text: &str) -> Result<Self, Problem> {
        if matches!(text.trim(), "" | "{{subject}}" | "{{stream}}") {
            return Ok(KeyTemplate::Stream);
        }
        let template = Template::parse(text, "/key")?;
        Ok(match template.constant() {
            Some(text) => KeyTemplate::Fixed(text.to_owned()),
            None => KeyTemplate::Template(template),
        })
    }

    fn of(&self, event: &Event) -> Option<String> {
        match self {
            KeyTemplate::Stream => Some(event.stream.as_str().to_owned()),
            KeyTemplate::Fixed(key) => Some(key.clone()),
            KeyTemplate::Template(template) => {
                let key = template.render_with(&|name| attribute(event, name)).ok()?;
                (!key.is_empty()).then_some(key)
            }
        }
    }
}

/// What was found in an event: by `key` first, then used by `apply`.
type Found = Result<Option<Value>, String>;

pub(super) struct Reduce {
    filter: Filter,
    key: KeyTemplate,
    kind: ReducerKind,
    path: Option<Path>,
    script: Option<Script>,
    last: Mutex<Option<(Position, Found)>>,
}

impl Reduce {
    pub(super) fn new(filter: Filter, key: KeyTemplate, kind: ReducerKind, path: Option<Path>) -> Self {
        Reduce { filter, key, kind, path, script: None, last: Mutex::new(None) }
    }

    pub(super) fn with_script(mut self, script: Option<Script>) -> Self {
        self.script = script;
        self
    }

    /// Calls the script with the state, `()` at first, and the event. `()` as its answer removes the key.
    fn call(&self, state: Option<&Value>, event: &Event) -> Result<Value, String> {
        let script = self.script.as_ref().ok_or("there is no script")?;
        let mut facts = envelope(event);
        facts.insert("time_ms", event.time);
        facts.insert("data", data(event));
        if self.path.is_some() {
            facts.insert("value", self.value(event)?);
        }
        let arguments = [state.cloned().unwrap_or_default(), Value::object(facts)];
        let answer = script.call(&arguments).map_err(|error| error.to_string())?;
        Ok(if answer.is_nullish() { Value::Undefined } else { answer })
    }

    /// The value at the property, looked for once per event.
    fn at(&self, path: &Path, event: &Event) -> Found {
        let last = self.last.lock().take();
        match last {
            Some((position, found)) if position == event.position => found,
            _ => find(event, path),
        }
    }

    fn value(&self, event: &Event) -> Result<Value, String> {
        match &self.path {
            None => Ok(data(event)),
            Some(path) => self.at(path, event)?.ok_or_else(|| format!("the data has no {path}")),
        }
    }

    fn number(&self, event: &Event) -> Result<Value, String> {
        let value = self.value(event)?;
        match value.resolved() {
            Value::Int(_) => return Ok(value),
            Value::Float(number) if number.is_finite() => return Ok(value),
            Value::String(text) => {
                let number = value.to_number();
                if number.is_finite() && !text.trim().is_empty() {
                    return Ok(text.trim().parse::<i64>().map_or(Value::Float(number), Value::Int));
                }
            }
            _ => {}
        }
        let what = self.path.as_ref().map_or_else(|| "the data".to_owned(), Path::to_string);
        let hint = if self.path.is_none() && value.as_object().is_some() { "; name one of its properties" } else { "" };
        Err(format!("{what} is no number but {} {}{hint}", value.type_name(), shortened(&value)))
    }
}

fn shortened(value: &Value) -> String {
    value.to_json().chars().take(60).collect()
}

fn as_f64(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

/// Whole numbers stay whole as long as they fit.
fn add(a: &Value, b: &Value) -> Value {
    if let (Value::Int(a), Value::Int(b)) = (a, b)
        && let Some(sum) = a.checked_add(*b)
    {
        return Value::Int(sum);
    }
    Value::Float(as_f64(a) + as_f64(b))
}

impl Reducer for Reduce {
    fn key(&self, event: &Event) -> Option<String> {
        if let Some(path) = &self.path {
            let found = find(event, path);
            if matches!(found, Ok(None)) {
                return None;
            }
            *self.last.lock() = Some((event.position, found));
        }
        self.key.of(event)
    }

    fn apply(&self, state: Option<&Value>, event: &Event) -> Result<Value, String> {
        Ok(match self.kind {
            ReducerKind::Latest => self.value(event)?,
            ReducerKind::First => state.cloned().map_or_else(|| self.value(event), Ok)?,
            ReducerKind::Count => Value::Int(state.and_then(Value::as_i64).unwrap_or(0).saturating_add(1)),
            ReducerKind::Sum => {
                let number = self.number(event)?;
                state.map_or(number.clone(), |sum| add(sum, &number))
            }
            ReducerKind::Min | ReducerKind::Max => {
                let number = self.number(event)?;
                let keep = state.is_some_and(|best| match self.kind {
                    ReducerKind::Min => as_f64(best) <= as_f64(&number),
                    _ => as_f64(best) >= as_f64(&number),
                });
                if keep { state.cloned().unwrap_or(number) } else { number }
            }
            ReducerKind::Average => {
                let number = self.number(event)?;
                let (sum, count) = match state.and_then(Value::as_array) {
                    Some([sum, count]) => (add(sum, &number), count.as_i64().unwrap_or(0) + 1),
                    _ => (number, 1),
                };
                Value::array(vec![sum, Value::Int(count)])
            }
            ReducerKind::Script => self.call(state, event)?,
        })
    }

    fn narrow(&self, key: &str) -> Option<Filter> {
        let by_stream = matches!(self.key, KeyTemplate::Stream) && !has_wildcard(key);
        by_stream.then(|| Filter { stream: Some(key.into()), ..self.filter.clone() })
    }

    fn present(&self, state: &Value) -> Value {
        match (self.kind, state.as_array()) {
            (ReducerKind::Average, Some([sum, count])) => Value::Float(as_f64(sum) / as_f64(count)),
            _ => state.clone(),
        }
    }
}
