//! A state machine: which state something is in, since when, and how long it was in each.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tidewire_model::event::Event;
use tidewire_model::{Map, Value};

use super::{Folded, Late, seconds};

/// States of one machine: when every trigger is a state, a broken device must not fill the memory.
const STATES_MAX: usize = 200;
const NAME_MAX: usize = 200;

/// `from -> to: trigger`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(in super::super) struct Transition {
    /// Empty: from any state.
    pub(in super::super) from: Vec<String>,
    pub(in super::super) to: String,
    pub(in super::super) triggers: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(in super::super) struct MachinePlan {
    /// Empty: every trigger is the state that it leads to.
    pub(in super::super) transitions: Vec<Transition>,
    pub(in super::super) initial: String,
    /// The trigger is the event's type instead of the value.
    pub(in super::super) by_type: bool,
    pub(in super::super) late: Late,
}

impl MachinePlan {
    /// Where a trigger leads to, if it leads anywhere from here.
    fn next<'a>(&'a self, state: &str, trigger: &'a str) -> Option<&'a str> {
        if self.transitions.is_empty() {
            return Some(trigger);
        }
        let fits = |transition: &&Transition| {
            transition.triggers.iter().any(|known| known == trigger)
                && (transition.from.is_empty() || transition.from.iter().any(|from| from == state))
        };
        self.transitions.iter().find(fits).map(|transition| transition.to.as_str())
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(in super::super) struct Machine {
    state: Option<String>,
    since: i64,
    latest: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    previous: Option<String>,
    changes: u64,
    ignored: u64,
    late: u64,
    /// Milliseconds in each state that was left.
    spent: BTreeMap<String, i64>,
}

impl Folded for Machine {
    type Plan = MachinePlan;

    fn apply(&mut self, plan: &MachinePlan, input: Value, event: &Event) -> Result<(), String> {
        let text = input.to_text();
        let trigger = if plan.by_type { event.event_type.as_str() } else { text.as_ref() };
        if trigger.len() > NAME_MAX {
            return Err(format!("a trigger of {} bytes is no trigger; {NAME_MAX} are allowed", trigger.len()));
        }
        let time = event.time;
        if self.state.is_some() && time < self.latest {
            let latest = self.latest;
            return plan.late.leave_out(&mut self.late, || {
                format!("the event is late: its time {time} is before that of the latest one, {latest}")
            });
        }
        let state = self.state.as_deref().unwrap_or(&plan.initial);
        match plan.next(state, trigger) {
            None => self.ignored += 1,
            Some(next) if next == state && self.state.is_some() => {}
            Some(next) => {
                if self.spent.len() >= STATES_MAX && !self.spent.contains_key(next) {
                    return Err(format!("\"{next}\" would be one more than {STATES_MAX} states; name the transitions"));
                }
                let next = next.to_owned();
                let before = self.state.replace(next.clone());
                self.spent.entry(next).or_default();
                if let Some(before) = before {
                    *self.spent.entry(before.clone()).or_default() += time.saturating_sub(self.since);
                    self.previous = Some(before);
                    self.changes += 1;
                } else if !plan.initial.is_empty() {
                    self.previous = Some(plan.initial.clone());
                    self.changes += 1;
                }
                self.since = time;
            }
        }
        if self.state.is_none() && !plan.initial.is_empty() {
            self.state = Some(plan.initial.clone());
            self.spent.entry(plan.initial.clone()).or_default();
            self.since = time;
        }
        self.latest = time;
        Ok(())
    }

    fn shown(&self, _plan: &MachinePlan) -> Value {
        let mut times = Map::with_capacity(self.spent.len());
        for (state, spent) in &self.spent {
            let now = if self.state.as_ref() == Some(state) { self.latest.saturating_sub(self.since) } else { 0 };
            times.insert(state.as_str(), seconds(0, spent.saturating_add(now)));
        }
        let text = |text: &Option<String>| text.as_deref().map_or(Value::Null, Value::string);
        let mut map = Map::with_capacity(7);
        map.insert("state", text(&self.state));
        map.insert("since", self.since);
        map.insert("previous", text(&self.previous));
        map.insert("changes", self.changes);
        map.insert("ignored", self.ignored);
        map.insert("late", self.late);
        map.insert("seconds", Value::object(times));
        Value::object(map)
    }

    fn weight(&self) -> usize {
        self.spent.keys().map(|state| state.len() + 48).sum::<usize>() + 160
    }
}
