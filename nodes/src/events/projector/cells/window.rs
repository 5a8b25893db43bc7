//! Aggregates over windows of event time: tumbling, sliding and session windows, and rates.
//!
//! The newest event time seen is the clock: a window is over when an event beyond its end, and beyond the allowed
//! lateness, has come. An event for a window that is over is late.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use tidewire_model::event::Event;
use tidewire_model::{Map, Value};

use super::{Folded, Late, Sum, as_f64};

/// Windows of one key that are kept at a time.
const WINDOWS_MAX: usize = 1_100;

/// How windows lie; all in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(in super::super) enum Span {
    /// One after the other, each of this length.
    Tumbling(i64),
    /// The last so many panes of this length.
    Sliding { pane: i64, panes: i64 },
    /// Ends after a pause of this length.
    Session(i64),
}

/// What is computed of the events in a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(in super::super) enum Aggregate {
    Count,
    Sum,
    Min,
    Max,
    Average,
    Latest,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(in super::super) struct WindowPlan {
    pub(in super::super) span: Span,
    pub(in super::super) aggregate: Aggregate,
    /// How long a window stays open for late events.
    pub(in super::super) lateness: i64,
    pub(in super::super) late: Late,
    /// Only the value, per second of the window.
    pub(in super::super) per_second: bool,
}

/// One window, or one pane of a sliding one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Pane {
    from: i64,
    to: i64,
    count: u64,
    #[serde(default)]
    sum: Sum,
    /// The extreme or the latest value, with its time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<(i64, Value)>,
}

impl Pane {
    fn add(&mut self, aggregate: Aggregate, time: i64, input: &Value) {
        self.count += 1;
        match aggregate {
            Aggregate::Count => {}
            Aggregate::Sum | Aggregate::Average => self.sum.add(input),
            _ => self.offer(aggregate, time, input),
        }
    }

    /// Keeps the better of two values.
    fn offer(&mut self, aggregate: Aggregate, time: i64, input: &Value) {
        let better = self.value.as_ref().is_none_or(|(then, value)| match aggregate {
            Aggregate::Min => as_f64(input) < as_f64(value),
            Aggregate::Max => as_f64(input) > as_f64(value),
            _ => time >= *then,
        });
        if better {
            self.value = Some((time, input.clone()));
        }
    }

    /// Takes over what another pane counted.
    fn merge(&mut self, aggregate: Aggregate, other: &Pane) {
        self.count += other.count;
        self.from = self.from.min(other.from);
        self.to = self.to.max(other.to);
        self.sum.merge(&other.sum);
        if let Some((time, value)) = &other.value {
            self.offer(aggregate, *time, value);
        }
    }

    fn value(&self, aggregate: Aggregate) -> Value {
        match aggregate {
            Aggregate::Count => Value::from(self.count),
            Aggregate::Sum => self.sum.value(),
            Aggregate::Average => Value::Float(self.sum.float() / self.count.max(1) as f64),
            _ => self.value.as_ref().map_or(Value::Null, |(_, value)| value.clone()),
        }
    }

    fn shown(&self, aggregate: Aggregate) -> Map {
        let mut map = Map::with_capacity(6);
        map.insert("value", self.value(aggregate));
        map.insert("count", self.count);
        map.insert("from", self.from);
        map.insert("to", self.to);
        map
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(in super::super) struct Windowed {
    /// In order of time; they do not overlap.
    panes: VecDeque<Pane>,
    /// The newest event time seen.
    newest: Option<i64>,
    late: u64,
}

impl Folded for Windowed {
    type Plan = WindowPlan;

    fn apply(&mut self, plan: &WindowPlan, input: Value, event: &Event) -> Result<(), String> {
        let time = event.time;
        let newest = self.newest.unwrap_or(time);
        let done = match plan.span {
            Span::Tumbling(length) => {
                let from = time.div_euclid(length).saturating_mul(length);
                let is_late = from.saturating_add(length) <= newest.saturating_sub(plan.lateness);
                !is_late && self.add(plan, (from, from.saturating_add(length)), time, &input)
            }
            Span::Sliding { pane, panes } => {
                let from = time.div_euclid(pane).saturating_mul(pane);
                let first = newest.max(time).div_euclid(pane).saturating_sub(panes - 1).saturating_mul(pane);
                from >= first && self.add(plan, (from, from.saturating_add(pane)), time, &input)
            }
            Span::Session(gap) => self.add_to_session(plan, gap, time, &input),
        };
        if !done {
            return plan.late.leave_out(&mut self.late, || {
                format!("the event is late: its time {time} lies in a window that was over at {newest}")
            });
        }
        self.newest = Some(newest.max(time));
        self.forget(plan);
        Ok(())
    }

    fn shown(&self, plan: &WindowPlan) -> Value {
        let aggregate = plan.aggregate;
        if let Span::Sliding { pane, panes } = plan.span {
            let mut whole = Pane::default();
            if let Some(newest) = self.newest {
                whole.to = newest.div_euclid(pane).saturating_add(1).saturating_mul(pane);
                whole.from = whole.to.saturating_sub(pane.saturating_mul(panes));
            }
            self.panes.iter().for_each(|part| whole.merge(aggregate, part));
            if plan.per_second {
                let length = pane.saturating_mul(panes).max(1) as f64 / 1_000.0;
                return Value::Float(as_f64(&whole.value(aggregate)) / length);
            }
            let mut map = whole.shown(aggregate);
            map.insert("late", self.late);
            return Value::object(map);
        }
        let mut panes = self.panes.iter().rev();
        let mut map = panes.next().map(|pane| pane.shown(aggregate)).unwrap_or_default();
        map.insert("late", self.late);
        map.insert("previous", panes.next().map_or(Value::Null, |pane| Value::object(pane.shown(aggregate))));
        Value::object(map)
    }

    fn weight(&self) -> usize {
        self.panes.len() * 160 + 64
    }
}

impl Windowed {
    /// Adds to the window with these bounds.
    fn add(&mut self, plan: &WindowPlan, (from, to): (i64, i64), time: i64, input: &Value) -> bool {
        // Nearly always the last one.
        let place = self.panes.iter().rposition(|pane| pane.from <= from);
        match place.and_then(|place| self.panes.get_mut(place)) {
            Some(pane) if pane.from == from => pane.add(plan.aggregate, time, input),
            _ => {
                let mut pane = Pane { from, to, ..Pane::default() };
                pane.add(plan.aggregate, time, input);
                self.panes.insert(place.map_or(0, |place| place + 1), pane);
            }
        }
        true
    }

    /// Adds to the sessions that the event touches, which become one.
    fn add_to_session(&mut self, plan: &WindowPlan, gap: i64, time: i64, input: &Value) -> bool {
        let touches = |pane: &Pane| time >= pane.from.saturating_sub(gap) && time <= pane.to.saturating_add(gap);
        let newest = self.newest.unwrap_or(time);
        let is_over = time.saturating_add(gap) <= newest.saturating_sub(plan.lateness);
        if is_over && !self.panes.iter().any(touches) {
            return false;
        }
        let mut session = Pane { from: time, to: time, ..Pane::default() };
        session.add(plan.aggregate, time, input);
        let mut first = None;
        let mut index = 0;
        while let Some(pane) = self.panes.get(index) {
            if touches(pane) {
                let mut earlier = self.panes.remove(index).unwrap_or_default();
                earlier.merge(plan.aggregate, &session);
                session = earlier;
                first.get_or_insert(index);
            } else {
                index += 1;
            }
        }
        let after = || self.panes.iter().rposition(|pane| pane.from <= time).map_or(0, |before| before + 1);
        let place = first.unwrap_or_else(after);
        self.panes.insert(place, session);
        true
    }

    /// Forgets windows that are over; the last two are shown.
    fn forget(&mut self, plan: &WindowPlan) {
        let newest = self.newest.unwrap_or(0);
        let (keep, over) = match plan.span {
            Span::Tumbling(_) => (2, newest.saturating_sub(plan.lateness)),
            Span::Sliding { pane, panes } => {
                (0, newest.div_euclid(pane).saturating_sub(panes - 1).saturating_mul(pane))
            }
            Span::Session(gap) => (2, newest.saturating_sub(plan.lateness).saturating_sub(gap)),
        };
        while self.panes.len() > WINDOWS_MAX
            || (self.panes.len() > keep && self.panes.front().is_some_and(|pane| pane.to <= over))
        {
            self.panes.pop_front();
        }
    }
}
