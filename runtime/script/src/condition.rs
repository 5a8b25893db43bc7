//! Conditions on events, written as one rhai expression: `data.temperature > 25 && subject.starts_with("thing-")`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use tidewire_model::Value;
use tidewire_model::event::Event;
use tidewire_model::event::value::{ATTRIBUTES, attribute};
use tidewire_model::query::{Condition, EventPredicate};

use crate::{Script, ScriptError};

/// The longest condition, in bytes.
const TEXT_MAX: usize = 4_096;
/// A condition that ran away so often is not asked any more: it fails on every event.
const RUNAWAYS_MAX: u64 = 3;

/// Names that a condition may use beside the attributes of an event.
const MORE: [&str; 3] = ["time_ms", "recorded_ms", "datacontenttype"];

struct EventCondition {
    text: String,
    script: Script,
    /// The names that occur in the text, in the order of the script's arguments.
    names: Vec<&'static str>,
    failures: AtomicU64,
    runaways: AtomicU64,
    last: Mutex<Option<String>>,
}

/// Compiles a condition. It sees the attributes of an event by name (`subject`, `type`, `data`, `actor` …; what an event
/// lacks is `()`), its two times also as `time_ms` and `recorded_ms`, and answers true or false.
///
/// # Errors
/// It is no expression, or uses a name that is not there.
pub fn compile_condition(text: &str) -> Result<Condition, ScriptError> {
    if text.len() > TEXT_MAX {
        let text = format!("the condition is longer than {TEXT_MAX} bytes");
        return Err(ScriptError { text, line: None, column: None, runaway: false });
    }
    // Only what is used is made for each event. A name within another word or a text does no harm.
    let names: Vec<&'static str> = ATTRIBUTES.into_iter().chain(MORE).filter(|name| text.contains(name)).collect();
    let script = Script::compile_expression(text, &names)?;
    Ok(Condition(Arc::new(EventCondition {
        text: text.to_owned(),
        script,
        names,
        failures: AtomicU64::new(0),
        runaways: AtomicU64::new(0),
        last: Mutex::default(),
    })))
}

impl EventCondition {
    fn fail(&self, text: String) -> bool {
        self.failures.fetch_add(1, Ordering::Relaxed);
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
        false
    }
}

fn value(event: &Event, name: &str) -> Value {
    match name {
        "time_ms" => Value::Int(event.time),
        "recorded_ms" => Value::Int(event.recorded_time),
        "datacontenttype" => Value::string(&event.data_content_type),
        name => attribute(event, name).unwrap_or(Value::Undefined),
    }
}

impl EventPredicate for EventCondition {
    fn text(&self) -> &str {
        &self.text
    }

    fn holds(&self, event: &Event) -> bool {
        if self.runaways.load(Ordering::Relaxed) >= RUNAWAYS_MAX {
            self.failures.fetch_add(1, Ordering::Relaxed);
            return false;
        }
        let arguments: Vec<Value> = self.names.iter().map(|name| value(event, name)).collect();
        match self.script.call(&arguments) {
            Ok(Value::Bool(holds)) => holds,
            Ok(other) => self.fail(format!("it gives {}, not true or false", other.to_json())),
            Err(error) => {
                if error.runaway {
                    self.runaways.fetch_add(1, Ordering::Relaxed);
                }
                self.fail(error.to_string())
            }
        }
    }

    fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    fn last_failure(&self) -> Option<String> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tidewire_model::event::{EventId, Extension, ExtensionValue, Extensions, NewEvent, Place, StreamName};
    use tidewire_model::position::Position;

    use super::*;

    fn event(data: &str) -> Event {
        let stream = StreamName::new("thing-greenhouse-1").unwrap();
        let place = Place { stream, position: Position::new(7), version: 2, recorded_time: 2_000 };
        let ward = Extension { name: "ward".into(), value: ExtensionValue::Text("north".into()) };
        let bed = Extension { name: "bed".into(), value: ExtensionValue::Integer(4) };
        let extensions = Extensions::new(vec![ward, bed]).unwrap();
        let new = NewEvent::new("read", "application/json", data.to_owned());
        let new = NewEvent { time: Some(1_000), extensions, ..new };
        new.record(|| EventId::from("e-7"), place)
    }

    #[test]
    fn conditions_look_at_envelope_and_data() {
        let event = event(r#"{"temperature":26.5,"tags":["a"],"place":{"room":"north"}}"#);
        for (text, expected) in [
            ("data.temperature > 25", true),
            ("data.temperature > 25 && subject.starts_with(\"thing-\")", true),
            ("data.temperature > 27 || category == \"rule\"", false),
            ("data.place.room == \"north\" && \"a\" in data.tags", true),
            ("data.absent.deeper > 5", false),
            ("type == \"read\" && thing == \"greenhouse-1\"", true),
            ("position == 7 && version == 2 && id == \"e-7\"", true),
            ("time_ms == 1000 && recorded_ms == 2000", true),
            ("actor == ()", true),
            ("extensions.ward == \"north\" && extensions.bed > 3", true),
            ("extensions.absent == ()", true),
            ("time.starts_with(\"1970-01-01T00:00:01\")", true),
        ] {
            let condition = compile_condition(text).unwrap();
            assert_eq!(condition.0.holds(&event), expected, "{text}");
            assert_eq!(condition.0.failures(), 0, "{text}: {:?}", condition.0.last_failure());
        }
    }

    #[test]
    fn what_cannot_be_compiled_is_told_with_its_place() {
        let wrong = compile_condition("data.temperature >").unwrap_err();
        assert!(wrong.line.is_some(), "{wrong:?}");
        let unknown = compile_condition("temperature > 25").unwrap_err();
        assert_eq!((unknown.line, unknown.column), (Some(1), Some(1)), "{unknown}");
        assert!(unknown.text.contains("temperature"), "{unknown}");
        assert!(compile_condition(&"1".repeat(5_000)).is_err());
    }

    #[test]
    fn an_event_on_which_a_condition_fails_is_no_match_and_counted() {
        let condition = compile_condition("data.temperature + 1").unwrap();
        assert!(!condition.0.holds(&event(r#"{"temperature":1}"#)));
        assert!(!condition.0.holds(&event(r#"{"temperature":2}"#)));
        assert_eq!(condition.0.failures(), 2);
        assert_eq!(condition.0.last_failure().unwrap(), "it gives 3, not true or false");
        let throws = compile_condition("data.name.len() > 2").unwrap();
        assert!(!throws.0.holds(&event("{}")));
        assert_eq!(throws.0.failures(), 1);
        assert!(throws.0.holds(&event(r#"{"name":"long"}"#)), "others are looked at all the same");
    }
}
