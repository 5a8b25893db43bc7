//! From an event to the key it belongs to and what it brings. Data is looked into only as far as the definition asks.

use std::sync::Arc;

use tidewire_model::event::{Event, StreamName};
use tidewire_model::query::{Filter, has_wildcard};
use tidewire_model::value::Path;
use tidewire_model::{Problem, Value};
use tidewire_node_api::cell::{Cell, STATE_MAX, Take};
use tidewire_node_api::handles::{Keys, Reducer};
use tidewire_script::Script;

use super::cells::{
    Best, Count, Derivative, Distinct, Duty, Histogram, Integral, Keep, LastN, Machine, Mean, Total, Typed, Whole,
    Windowed,
};
use super::plan::Plan;
use crate::shared::event_value::{attribute, data, envelope, find};
use crate::shared::template::Template;

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
}

/// What an event has to bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wants {
    /// Only to be there.
    Nothing,
    Any,
    Number,
}

pub(super) struct Reduce {
    filter: Filter,
    key: KeyTemplate,
    path: Option<Path>,
    wants: Wants,
    plan: Plan,
    script: Option<Arc<Script>>,
    /// The plan of reducers that need none.
    plain: Arc<()>,
}

impl Reduce {
    /// `script` goes with a plan for one.
    pub(super) fn new(
        filter: Filter,
        key: KeyTemplate,
        plan: Plan,
        path: Option<Path>,
        script: Option<Script>,
    ) -> Option<Self> {
        use super::cells::Aggregate::{Count as Counting, Latest as LatestOf};
        let wants = match &plan {
            Plan::Count => Wants::Nothing,
            Plan::Window(plan) if plan.aggregate == Counting => Wants::Nothing,
            Plan::Machine(plan) if plan.by_type => Wants::Nothing,
            Plan::Window(plan) if plan.aggregate == LatestOf => Wants::Any,
            Plan::Script if path.is_none() => Wants::Nothing,
            Plan::Latest
            | Plan::First
            | Plan::Distinct
            | Plan::Duty(_)
            | Plan::LastN(_)
            | Plan::Machine(_)
            | Plan::Script => Wants::Any,
            _ => Wants::Number,
        };
        let script = script.map(Arc::new);
        if matches!(plan, Plan::Script) && script.is_none() {
            return None;
        }
        Some(Reduce { filter, key, path, wants, plan, script, plain: Arc::new(()) })
    }

    /// What the event brings; `None` when it lacks the property.
    fn input(&self, event: &Event) -> Result<Option<Value>, String> {
        let value = match &self.path {
            Some(path) => match find(event, path)? {
                Some(value) => value,
                None => return Ok(None),
            },
            None if self.wants == Wants::Nothing => Value::Undefined,
            None => data(event),
        };
        if self.wants == Wants::Number { self.number(value).map(Some) } else { Ok(Some(value)) }
    }

    fn number(&self, value: Value) -> Result<Value, String> {
        match value.resolved() {
            Value::Int(number) => return Ok(Value::Int(*number)),
            Value::Float(number) if number.is_finite() => return Ok(Value::Float(*number)),
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
        let text: String = value.to_json().chars().take(60).collect();
        Err(format!("{what} is no number but {} {text}{hint}", value.type_name()))
    }
}

impl Reducer for Reduce {
    fn each(&self, event: &Event, take: &mut Take<'_>) -> Result<(), String> {
        let Some(input) = self.input(event)? else { return Ok(()) };
        match &self.key {
            KeyTemplate::Stream => take(event.stream.as_str(), input),
            KeyTemplate::Fixed(key) => take(key, input),
            KeyTemplate::Template(template) => match template.render_with(&|name| attribute(event, name)) {
                Ok(key) if !key.is_empty() => take(&key, input),
                _ => Ok(()),
            },
        }
    }

    fn open(&self, _key: &str, state: &Value) -> Option<Box<dyn Cell>> {
        let plain = &self.plain;
        Some(match &self.plan {
            Plan::Latest => Whole::open(Keep::Latest, state),
            Plan::First => Whole::open(Keep::First, state),
            Plan::Count => Typed::<Count>::open(plain, state),
            Plan::Sum => Typed::<Total>::open(plain, state),
            Plan::Min => Typed::<Best<false>>::open(plain, state),
            Plan::Max => Typed::<Best<true>>::open(plain, state),
            Plan::Average => Typed::<Mean>::open(plain, state),
            Plan::Distinct => Typed::<Distinct>::open(plain, state),
            Plan::Derivative(plan) => Typed::<Derivative>::open(plan, state),
            Plan::Integral(plan) => Typed::<Integral>::open(plan, state),
            Plan::Duty(plan) => Typed::<Duty>::open(plan, state),
            Plan::LastN(plan) => Typed::<LastN>::open(plan, state),
            Plan::Histogram(plan) => Typed::<Histogram>::open(plan, state),
            Plan::Machine(plan) => Typed::<Machine>::open(plan, state),
            Plan::Window(plan) => Typed::<Windowed>::open(plan, state),
            Plan::Script => {
                let (script, with_value) = (Arc::clone(self.script.as_ref()?), self.path.is_some());
                Box::new(Scripted { script, with_value, state: state.clone() })
            }
        })
    }

    fn keys_of(&self, stream: &StreamName) -> Option<Keys> {
        matches!(self.key, KeyTemplate::Stream).then(|| Keys::One(stream.to_string()))
    }

    fn narrow(&self, key: &str) -> Option<Filter> {
        let by_stream = matches!(self.key, KeyTemplate::Stream) && !has_wildcard(key);
        by_stream.then(|| Filter { stream: Some(key.into()), ..self.filter.clone() })
    }
}

/// What a script keeps.
struct Scripted {
    script: Arc<Script>,
    with_value: bool,
    state: Value,
}

impl Cell for Scripted {
    /// Calls the script with the state, `()` at first, and the event. `()` as its answer removes the key.
    fn apply(&mut self, input: Value, event: &Event) -> Result<(), String> {
        let mut facts = envelope(event);
        facts.insert("time_ms", event.time);
        facts.insert("data", data(event));
        if self.with_value {
            facts.insert("value", input);
        }
        let state = if self.state.is_undefined() { Value::Null } else { self.state.clone() };
        let answer = self.script.call(&[state, Value::object(facts)]).map_err(|error| error.to_string())?;
        let weight = answer.weight_of(1_000);
        if weight > STATE_MAX {
            return Err(format!("the state of this key would take {weight} bytes; {STATE_MAX} are allowed"));
        }
        self.state = if answer.is_nullish() { Value::Undefined } else { answer };
        Ok(())
    }

    fn state(&self) -> Value {
        self.state.clone()
    }

    fn shown(&self) -> Value {
        self.state.clone()
    }

    fn exists(&self) -> bool {
        !self.state.is_undefined()
    }

    fn weight(&self) -> usize {
        self.state.weight_of(64)
    }
}
