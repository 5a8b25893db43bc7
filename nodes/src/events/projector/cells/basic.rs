//! The plain reducers: latest, first, count, sum, least, greatest, mean, and the last few values.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use tidewire_model::event::Event;
use tidewire_model::{Map, Value};
use tidewire_node_api::cell::{Cell, STATE_MAX};

use super::{Folded, Sum, as_f64};

/// Which value is kept as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Keep {
    Latest,
    First,
}

/// One value of any kind.
pub(in super::super) struct Whole {
    keep: Keep,
    value: Value,
}

impl Whole {
    pub(in super::super) fn open(keep: Keep, stored: &Value) -> Box<dyn Cell> {
        Box::new(Whole { keep, value: stored.clone() })
    }
}

impl Cell for Whole {
    fn apply(&mut self, input: Value, _event: &Event) -> Result<(), String> {
        if self.keep == Keep::Latest || self.value.is_undefined() {
            self.value = input;
        }
        Ok(())
    }

    fn state(&self) -> Value {
        self.value.clone()
    }

    fn shown(&self) -> Value {
        self.value.clone()
    }

    fn exists(&self) -> bool {
        !self.value.is_undefined()
    }

    fn weight(&self) -> usize {
        self.value.weight_of(64)
    }
}

/// How many events there were.
#[derive(Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(in super::super) struct Count(i64);

impl Folded for Count {
    type Plan = ();

    fn apply(&mut self, _plan: &(), _input: Value, _event: &Event) -> Result<(), String> {
        self.0 = self.0.saturating_add(1);
        Ok(())
    }

    fn shown(&self, _plan: &()) -> Value {
        Value::Int(self.0)
    }
}

/// The sum of the numbers.
#[derive(Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(in super::super) struct Total(Sum);

impl Folded for Total {
    type Plan = ();

    fn apply(&mut self, _plan: &(), input: Value, _event: &Event) -> Result<(), String> {
        self.0.add(&input);
        Ok(())
    }

    fn shown(&self, _plan: &()) -> Value {
        self.0.value()
    }
}

/// The least or the greatest number.
#[derive(Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(in super::super) struct Best<const GREATEST: bool>(Option<Value>);

impl<const GREATEST: bool> Folded for Best<GREATEST> {
    type Plan = ();

    fn apply(&mut self, _plan: &(), input: Value, _event: &Event) -> Result<(), String> {
        let keep = self
            .0
            .as_ref()
            .is_some_and(|best| if GREATEST { as_f64(best) >= as_f64(&input) } else { as_f64(best) <= as_f64(&input) });
        if !keep {
            self.0 = Some(input);
        }
        Ok(())
    }

    fn shown(&self, _plan: &()) -> Value {
        self.0.clone().unwrap_or(Value::Null)
    }
}

/// The arithmetic mean of the numbers.
#[derive(Default, Serialize, Deserialize)]
pub(in super::super) struct Mean {
    sum: Sum,
    count: u64,
}

impl Folded for Mean {
    type Plan = ();

    fn apply(&mut self, _plan: &(), input: Value, _event: &Event) -> Result<(), String> {
        self.sum.add(&input);
        self.count += 1;
        Ok(())
    }

    fn shown(&self, _plan: &()) -> Value {
        Value::Float(self.sum.float() / self.count.max(1) as f64)
    }
}

/// How many values are kept.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub(in super::super) struct LastNPlan {
    pub(in super::super) count: usize,
}

/// The last few values with their times, oldest first.
#[derive(Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(in super::super) struct LastN(VecDeque<(i64, Value)>);

impl LastN {
    fn bytes(&self) -> usize {
        self.0.iter().map(|(_, value)| value.weight_of(8)).sum()
    }
}

impl Folded for LastN {
    type Plan = LastNPlan;

    fn apply(&mut self, plan: &LastNPlan, input: Value, event: &Event) -> Result<(), String> {
        if input.weight_of(8) > STATE_MAX / plan.count.max(1) {
            return Err(format!(
                "a value of this size cannot be kept {} times; {STATE_MAX} bytes are allowed",
                plan.count
            ));
        }
        // By event time, so that one that comes late is where it belongs; by position where times are equal.
        let place = self.0.iter().rposition(|(time, _)| *time <= event.time).map_or(0, |before| before + 1);
        if self.0.len() >= plan.count {
            if place == 0 {
                return Ok(());
            }
            self.0.pop_front();
            self.0.insert(place - 1, (event.time, input));
        } else {
            self.0.insert(place, (event.time, input));
        }
        Ok(())
    }

    fn shown(&self, _plan: &LastNPlan) -> Value {
        let items = self.0.iter().map(|(time, value)| {
            let mut item = Map::with_capacity(2);
            item.insert("time", *time);
            item.insert("value", value.clone());
            Value::object(item)
        });
        Value::array(items.collect())
    }

    fn weight(&self) -> usize {
        self.bytes() + self.0.len() * 16
    }
}
