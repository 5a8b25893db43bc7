//! What a value does between two readings: how fast it changes, what it adds up to, how long it is on.
//!
//! These need the readings in the order of their times; one that is older than the latest is late.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use tidewire_model::Value;
use tidewire_model::event::Event;

use super::{Folded, Late, Sum, as_f64, seconds};

/// Changes between on and off within one window that are kept for a key.
const CHANGES_MAX: usize = 10_000;

fn is_late(event: &Event, latest: i64) -> String {
    format!("the event is late: its time {} is before that of the latest one, {latest}", event.time)
}

/// Change per second between the last two readings.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(in super::super) struct Derivative {
    last: Option<(i64, f64)>,
    rate: Option<f64>,
    late: u64,
}

impl Folded for Derivative {
    type Plan = Late;

    fn apply(&mut self, late: &Late, input: Value, event: &Event) -> Result<(), String> {
        let value = as_f64(&input);
        match self.last {
            Some((time, _)) if event.time < time => {
                return late.leave_out(&mut self.late, || is_late(event, time));
            }
            // Two readings of the same moment: the later one counts.
            Some((time, _)) if event.time == time => {}
            Some((time, before)) => self.rate = Some((value - before) / seconds(time, event.time)),
            None => {}
        }
        self.last = Some((event.time, value));
        Ok(())
    }

    fn shown(&self, _plan: &Late) -> Value {
        self.rate.filter(|rate| rate.is_finite()).map_or(Value::Null, Value::Float)
    }
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(in super::super) struct IntegralPlan {
    /// A longer pause than this, in milliseconds, is not bridged.
    pub(in super::super) gap: Option<i64>,
    pub(in super::super) late: Late,
}

/// The area under the readings, by trapezoids: value times seconds.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(in super::super) struct Integral {
    last: Option<(i64, f64)>,
    area: Sum,
    late: u64,
}

impl Folded for Integral {
    type Plan = IntegralPlan;

    fn apply(&mut self, plan: &IntegralPlan, input: Value, event: &Event) -> Result<(), String> {
        let value = as_f64(&input);
        if let Some((time, before)) = self.last {
            if event.time < time {
                return plan.late.leave_out(&mut self.late, || is_late(event, time));
            }
            if plan.gap.is_none_or(|gap| event.time.saturating_sub(time) <= gap) {
                self.area.add_float((before / 2.0 + value / 2.0) * seconds(time, event.time));
            }
        }
        self.last = Some((event.time, value));
        Ok(())
    }

    fn shown(&self, _plan: &IntegralPlan) -> Value {
        Value::Float(self.area.float())
    }
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(in super::super) struct DutyPlan {
    /// Length of the window in milliseconds.
    pub(in super::super) length: i64,
    /// On from this number on; without one, when the value is true.
    pub(in super::super) threshold: Option<f64>,
    pub(in super::super) late: Late,
}

impl DutyPlan {
    fn is_on(&self, input: &Value) -> Result<bool, String> {
        if let Some(threshold) = self.threshold {
            let number = input.resolved().to_number();
            if number.is_finite() {
                return Ok(number >= threshold);
            }
        } else if let Some(on) = switch(input.resolved()) {
            return Ok(on);
        }
        let text: String = input.to_json().chars().take(60).collect();
        let hint = if self.threshold.is_some() { "no number" } else { "neither on nor off" };
        Err(format!("{text} is {hint}"))
    }
}

/// On or off in the words that devices use.
fn switch(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(on) => Some(*on),
        Value::Int(number) => Some(*number != 0),
        Value::Float(number) => Some(*number != 0.0),
        Value::String(text) => match text.trim().to_ascii_lowercase().as_str() {
            "on" | "true" | "1" | "open" | "yes" | "running" => Some(true),
            "off" | "false" | "0" | "closed" | "no" | "stopped" | "" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

/// The share of a window's time that something was on.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(in super::super) struct Duty {
    /// When it was switched, and to what; each holds until the next.
    changes: VecDeque<(i64, bool)>,
    latest: i64,
    late: u64,
}

impl Folded for Duty {
    type Plan = DutyPlan;

    fn apply(&mut self, plan: &DutyPlan, input: Value, event: &Event) -> Result<(), String> {
        let on = plan.is_on(&input)?;
        let time = event.time;
        if !self.changes.is_empty() && time < self.latest {
            let latest = self.latest;
            return plan.late.leave_out(&mut self.late, || is_late(event, latest));
        }
        let from = time.saturating_sub(plan.length);
        let begun = self.changes.partition_point(|(start, _)| *start <= from).saturating_sub(1);
        if self.changes.len() - begun >= CHANGES_MAX {
            return Err(format!("more than {CHANGES_MAX} changes lie in one window; choose a shorter window"));
        }
        self.changes.drain(..begun);
        if self.changes.back().is_none_or(|(_, was)| *was != on) {
            self.changes.push_back((time, on));
        }
        self.latest = time;
        Ok(())
    }

    fn shown(&self, plan: &DutyPlan) -> Value {
        let (from, to) = (self.latest.saturating_sub(plan.length), self.latest);
        let ends = self.changes.iter().skip(1).map(|(start, _)| *start).chain([to]);
        let (mut on_for, mut known_for) = (0, 0);
        for ((start, on), end) in self.changes.iter().zip(ends) {
            let part = end.saturating_sub((*start).max(from)).max(0);
            known_for += part;
            on_for += if *on { part } else { 0 };
        }
        let is_on = self.changes.back().is_some_and(|(_, on)| *on);
        if known_for == 0 {
            return Value::Float(f64::from(u8::from(is_on)));
        }
        Value::Float(on_for as f64 / known_for as f64)
    }

    fn weight(&self) -> usize {
        self.changes.len() * 16 + 64
    }
}
