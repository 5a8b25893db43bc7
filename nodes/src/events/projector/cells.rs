//! The states that built-in reducers keep per key. Pure and deterministic; numbers that reach them are finite.

mod basic;
mod distinct;
mod histogram;
mod machine;
mod trend;
mod window;

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tidewire_model::Value;
use tidewire_model::event::Event;
use tidewire_model::value::to_json_value;
use tidewire_node_api::cell::Cell;

pub(super) use basic::{Best, Count, Keep, LastN, LastNPlan, Mean, Total, Whole};
pub(super) use distinct::Distinct;
pub(super) use histogram::{Buckets, Histogram};
pub(super) use machine::{Machine, MachinePlan, Transition};
pub(super) use trend::{Derivative, Duty, DutyPlan, Integral, IntegralPlan};
pub(super) use window::{Aggregate, Span, WindowPlan, Windowed};

/// What happens with an event that comes too late to count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Late {
    /// It is left out.
    #[default]
    Ignore,
    /// It is parked, where it can be seen and applied later.
    Park,
}

impl Late {
    /// Leaves an event out, or refuses it.
    fn leave_out(self, count: &mut u64, why: impl FnOnce() -> String) -> Result<(), String> {
        match self {
            Late::Ignore => {
                *count += 1;
                Ok(())
            }
            Late::Park => Err(why()),
        }
    }
}

/// What a reducer keeps for one key.
pub(super) trait Folded: Serialize + DeserializeOwned + Default + Send + 'static {
    /// How it does it; the same for all keys.
    type Plan: Send + Sync + 'static;

    /// Applies what an event brings, or says why not and stays as it was.
    fn apply(&mut self, plan: &Self::Plan, input: Value, event: &Event) -> Result<(), String>;

    fn shown(&self, plan: &Self::Plan) -> Value;

    fn weight(&self) -> usize {
        64
    }
}

/// A state with its plan.
pub(super) struct Typed<F: Folded> {
    plan: Arc<F::Plan>,
    folded: F,
    exists: bool,
}

impl<F: Folded> Typed<F> {
    pub(super) fn open(plan: &Arc<F::Plan>, stored: &Value) -> Box<dyn Cell> {
        let exists = !stored.is_undefined();
        let folded =
            if exists { serde_json::from_value(to_json_value(stored)).unwrap_or_default() } else { F::default() };
        Box::new(Typed { plan: Arc::clone(plan), folded, exists })
    }
}

impl<F: Folded> Cell for Typed<F> {
    fn apply(&mut self, input: Value, event: &Event) -> Result<(), String> {
        self.folded.apply(&self.plan, input, event)?;
        self.exists = true;
        Ok(())
    }

    fn state(&self) -> Value {
        serde_json::to_value(&self.folded).map_or(Value::Null, Value::from)
    }

    fn shown(&self) -> Value {
        if self.exists { self.folded.shown(&self.plan) } else { Value::Undefined }
    }

    fn exists(&self) -> bool {
        self.exists
    }

    fn weight(&self) -> usize {
        self.folded.weight()
    }
}

/// A sum: whole numbers stay whole as long as they fit; others are summed with a correction (Neumaier), so that a
/// million small readings do not drown in a large sum.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Sum {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    whole: Option<i64>,
    sum: f64,
    rest: f64,
}

impl Sum {
    pub(super) fn add(&mut self, number: &Value) {
        if self.whole.is_none() && self.sum == 0.0 && self.rest == 0.0 {
            self.whole = Some(0);
        }
        match (self.whole, number) {
            (Some(whole), Value::Int(number)) => match whole.checked_add(*number) {
                Some(sum) => self.whole = Some(sum),
                None => {
                    self.leave_whole();
                    self.add_float(*number as f64);
                }
            },
            (_, number) => {
                self.leave_whole();
                self.add_float(as_f64(number));
            }
        }
    }

    fn leave_whole(&mut self) {
        if let Some(whole) = self.whole.take() {
            self.add_float(whole as f64);
        }
    }

    pub(super) fn add_float(&mut self, number: f64) {
        let sum = self.sum + number;
        self.rest += if self.sum.abs() >= number.abs() { (self.sum - sum) + number } else { (number - sum) + self.sum };
        self.sum = sum;
    }

    /// Adds another sum.
    pub(super) fn merge(&mut self, other: &Sum) {
        match other.whole {
            Some(whole) => self.add(&Value::Int(whole)),
            None => {
                self.leave_whole();
                self.add_float(other.sum);
                self.add_float(other.rest);
            }
        }
    }

    pub(super) fn value(&self) -> Value {
        self.whole.map_or_else(|| Value::Float(self.sum + self.rest), Value::Int)
    }

    pub(super) fn float(&self) -> f64 {
        self.whole.map_or(self.sum + self.rest, |whole| whole as f64)
    }
}

pub(super) fn as_f64(value: &Value) -> f64 {
    value.as_f64().unwrap_or(0.0)
}

/// Seconds between two times in milliseconds.
fn seconds(from: i64, to: i64) -> f64 {
    to.saturating_sub(from) as f64 / 1_000.0
}
