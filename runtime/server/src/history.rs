//! History of numbers: every numeric property of every thing at four resolutions, a read model like any other.
//!
//! ```text
//!   thing-boiler {"water":{"celsius":61.2}} ──► water.celsius ──► 1 s · 1 min · 1 h · 1 d: count, min, max, mean, last
//! ```
//! Buckets lie packed in chunks of one property, resolution and stretch of time, so that a month charts in one request.
//! Each resolution is kept for a time of its own; what is too old is removed by and by. An event that comes late changes
//! the buckets of its own time.

mod chunk;
mod read;

use std::sync::Arc;

use parking_lot::Mutex;
use tidewire_engine::projections::ProjectionService;
use tidewire_model::Value;
use tidewire_model::event::{Event, StreamName};
use tidewire_model::query::Filter;
use tidewire_node_api::cell::{Cell, Take};
use tidewire_node_api::handles::{Keys, ProjectionGuard, ProjectionSpec, Projections as _, Reducer};

use crate::things::read_data;
pub use chunk::{Bucket, Resolution};
use chunk::{Chunk, Names};
pub use read::Asked;
#[cfg(test)]
use read::Range;

/// Name of the read model.
pub const NAME: &str = "$history";
/// Numeric properties that are kept of one thing: a broken device must not fill the disk with names.
pub const PROPERTIES_MAX: usize = 200;
/// Numbers that are taken from one event.
const NUMBERS_MAX: usize = 64;
/// How deep numbers are looked for: `a.b.c.d.e`.
const DEPTH_MAX: usize = 5;
const NAME_MAX: usize = 100;
const PREFIX: &str = "thing-";

/// Days for which each resolution is kept; 0: for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keeping {
    pub seconds: u32,
    pub minutes: u32,
    pub hours: u32,
    pub days: u32,
}

impl Default for Keeping {
    fn default() -> Self {
        Keeping { seconds: 7, minutes: 90, hours: 1_825, days: 0 }
    }
}

impl std::fmt::Display for Keeping {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{},{},{},{}", self.seconds, self.minutes, self.hours, self.days)
    }
}

impl Keeping {
    /// From four numbers of days.
    #[must_use]
    pub fn parse(text: &str) -> Option<Keeping> {
        let days: Result<Vec<u32>, _> = text.split(',').map(|part| part.trim().parse()).collect();
        match days.ok()?.as_slice() {
            [seconds, minutes, hours, days] => {
                Some(Keeping { seconds: *seconds, minutes: *minutes, hours: *hours, days: *days })
            }
            _ => None,
        }
    }

    /// Milliseconds for which a resolution is kept.
    fn of(self, resolution: Resolution) -> Option<i64> {
        let days = match resolution {
            Resolution::Second => self.seconds,
            Resolution::Minute => self.minutes,
            Resolution::Hour => self.hours,
            Resolution::Day => self.days,
        };
        (days > 0).then(|| i64::from(days) * 86_400_000)
    }
}

/// Keeps the history of numbers.
pub struct History {
    projections: ProjectionService,
    keeping: Keeping,
    guard: Mutex<Option<Box<dyn ProjectionGuard>>>,
}

impl History {
    pub fn keep(projections: &ProjectionService, keeping: Keeping) -> History {
        let spec = ProjectionSpec {
            name: NAME.to_owned(),
            filter: Filter::category("thing"),
            definition: "history 1".to_owned(),
            reducer: Arc::new(Downsample { keeping }),
        };
        let guard = projections.keep(spec, Box::new(|_| ()));
        let guard = guard.inspect_err(|error| tracing::error!(error = %error, "history is not kept")).ok();
        History { projections: projections.clone(), keeping, guard: Mutex::new(guard) }
    }

    pub fn stop(&self) {
        self.guard.lock().take();
    }
}

/// Key of the list of a thing's properties.
fn names_key(thing: &str) -> String {
    format!("{thing}\n")
}

fn chunk_key(thing: &str, property: &str, resolution: Resolution, time: i64) -> String {
    let start = time.div_euclid(resolution.chunk()).saturating_mul(resolution.chunk());
    format!("{thing}\n{property}\n{}{start}", resolution.letter())
}

struct Downsample {
    keeping: Keeping,
}

/// Hands over every number in a value, with its dotted name.
fn numbers(name: &str, value: &Value, depth: usize, left: &mut usize, each: &mut dyn FnMut(&str, f64)) {
    let number = match value.resolved() {
        Value::Int(number) => *number as f64,
        Value::Float(number) if number.is_finite() => *number,
        Value::Bool(on) => f64::from(u8::from(*on)),
        Value::Object(map) if depth < DEPTH_MAX => {
            for (part, value) in map.iter() {
                let name = if name.is_empty() { part.to_owned() } else { format!("{name}.{part}") };
                numbers(&name, value, depth + 1, left, each);
            }
            return;
        }
        _ => return,
    };
    let name = if name.is_empty() { "value" } else { name };
    let fits = name.len() <= NAME_MAX && !name.chars().any(char::is_control);
    if fits && *left > 0 {
        *left -= 1;
        each(name, number);
    }
}

impl Reducer for Downsample {
    fn each(&self, event: &Event, take: &mut Take<'_>) -> Result<(), String> {
        let thing = event.stream.as_str().strip_prefix(PREFIX).filter(|thing| !thing.is_empty());
        let Some(thing) = thing else { return Ok(()) };
        let names = names_key(thing);
        let mut put = |name: &str, number: f64| {
            // One more property than are kept is left out; the others go on.
            if take(&names, Value::string(name)).is_err() {
                return;
            }
            for resolution in Resolution::ALL {
                // A number and its time always fit.
                let _ = take(&chunk_key(thing, name, resolution, event.time), Value::Float(number));
            }
        };
        let data = read_data(event);
        let mut left = NUMBERS_MAX;
        match data.as_object() {
            // A reading in the usual form: {"property": "t", "value": 21}.
            Some(map) if map.get("property").and_then(Value::as_str).is_some() && map.contains_key("value") => {
                let name = map.get("property").and_then(Value::as_str).unwrap_or("value");
                numbers(name, map.get("value").unwrap_or(&Value::Null), 0, &mut left, &mut put);
            }
            _ => numbers("", &data, 0, &mut left, &mut put),
        }
        Ok(())
    }

    fn open(&self, key: &str, state: &Value) -> Option<Box<dyn Cell>> {
        let stored = if let Value::Bytes(bytes) = state { bytes.clone() } else { bytes::Bytes::new() };
        match key.rsplit_once('\n') {
            Some((_, "")) | None => Some(Box::new(Names::read(state))),
            Some((_, rest)) => Some(Box::new(Chunk::read(Resolution::of(rest)?, stored))),
        }
    }

    fn keys_of(&self, stream: &StreamName) -> Option<Keys> {
        stream.as_str().strip_prefix(PREFIX).map(|thing| Keys::Beginning(names_key(thing)))
    }

    fn snapshots(&self) -> bool {
        false
    }

    fn expires(&self) -> bool {
        true
    }

    fn is_expired(&self, key: &str, now: i64) -> bool {
        let Some((_, rest)) = key.rsplit_once('\n') else { return false };
        let Some(resolution) = Resolution::of(rest) else { return false };
        let Some(start) = rest.get(1..).and_then(|start| start.parse::<i64>().ok()) else { return false };
        let end = start.saturating_add(resolution.chunk());
        self.keeping.of(resolution).is_some_and(|keep| end < now.saturating_sub(keep))
    }
}

#[cfg(test)]
mod tests;
