//! What a projector's configuration asks for, checked: the plan of its reducer.

use std::sync::Arc;

use serde::Serialize;
use tidewire_model::Problem;

use super::cells::{
    Aggregate, Buckets, DutyPlan, IntegralPlan, LastNPlan, Late, MachinePlan, Span, Transition, WindowPlan,
};
use super::config::{BucketKind, ProjectorConfig, ReducerKind, Trigger, WindowKind};

/// What is computed; part of the definition, so that another plan means another read model.
#[derive(Debug, Clone, Serialize)]
pub(super) enum Plan {
    Latest,
    First,
    Count,
    Sum,
    Min,
    Max,
    Average,
    Distinct,
    Derivative(Arc<Late>),
    Integral(Arc<IntegralPlan>),
    Duty(Arc<DutyPlan>),
    LastN(Arc<LastNPlan>),
    Histogram(Arc<Buckets>),
    Machine(Arc<MachinePlan>),
    Window(Arc<WindowPlan>),
    Script,
}

/// Milliseconds of a number of seconds.
fn millis(seconds: f64, at: &str) -> Result<i64, Problem> {
    let ms = (seconds * 1_000.0).round();
    if (1.0..=1.0e14).contains(&ms) {
        return Ok(ms as i64);
    }
    Err(Problem::error(at, format!("{seconds} is no number of seconds above 0")))
}

impl ProjectorConfig {
    /// What is to be computed, or what is wrong with it.
    pub(super) fn plan(&self) -> Result<Plan, Problem> {
        let late = self.late;
        let windowed = |plan: Plan, aggregate| match self.window {
            WindowKind::None => Ok(plan),
            _ => self.window(aggregate).map(Arc::new).map(Plan::Window),
        };
        Ok(match self.reducer {
            ReducerKind::Latest => windowed(Plan::Latest, Aggregate::Latest)?,
            ReducerKind::First => Plan::First,
            ReducerKind::Count => windowed(Plan::Count, Aggregate::Count)?,
            ReducerKind::Sum => windowed(Plan::Sum, Aggregate::Sum)?,
            ReducerKind::Min => windowed(Plan::Min, Aggregate::Min)?,
            ReducerKind::Max => windowed(Plan::Max, Aggregate::Max)?,
            ReducerKind::Average => windowed(Plan::Average, Aggregate::Average)?,
            ReducerKind::Distinct => Plan::Distinct,
            ReducerKind::Rate => Plan::Window(Arc::new(self.rate()?)),
            ReducerKind::Derivative => Plan::Derivative(Arc::new(late)),
            ReducerKind::Integral => {
                let gap = self.longest_pause.map(|gap| millis(gap, "/longestPause")).transpose()?;
                Plan::Integral(Arc::new(IntegralPlan { gap, late }))
            }
            ReducerKind::DutyCycle => {
                let length = millis(self.over, "/over")?;
                Plan::Duty(Arc::new(DutyPlan { length, threshold: self.threshold, late }))
            }
            ReducerKind::LastN => Plan::LastN(Arc::new(self.last_n()?)),
            ReducerKind::Histogram => Plan::Histogram(Arc::new(self.buckets()?)),
            ReducerKind::StateMachine => Plan::Machine(Arc::new(self.machine()?)),
            ReducerKind::Script => Plan::Script,
        })
    }

    fn window(&self, aggregate: Aggregate) -> Result<WindowPlan, Problem> {
        let span = match self.window {
            WindowKind::Sliding => {
                let length = millis(self.length, "/length")?;
                let pane = match self.step {
                    None => (length / 60).max(1),
                    Some(step) => millis(step, "/step")?,
                };
                if length % pane != 0 || length / pane > 1_000 {
                    let text = "the length has to be a multiple of the step, and 1,000 times as long at most";
                    return Err(Problem::error("/step", text));
                }
                Span::Sliding { pane, panes: length / pane }
            }
            WindowKind::Session => Span::Session(millis(self.pause, "/pause")?),
            _ => Span::Tumbling(millis(self.length, "/length")?),
        };
        let lateness = if self.lateness == 0.0 { 0 } else { millis(self.lateness, "/lateness")? };
        if let Span::Tumbling(length) = span
            && lateness / length > 1_000
        {
            return Err(Problem::error("/lateness", "no more than 1,000 windows can be open at a time"));
        }
        Ok(WindowPlan { span, aggregate, lateness, late: self.late, per_second: false })
    }

    fn rate(&self) -> Result<WindowPlan, Problem> {
        let length = millis(self.over, "/over")?;
        let panes = (1..=60).rev().find(|panes| length % panes == 0).unwrap_or(1);
        let aggregate = if self.property.trim().is_empty() { Aggregate::Count } else { Aggregate::Sum };
        let span = Span::Sliding { pane: length / panes, panes };
        Ok(WindowPlan { span, aggregate, lateness: 0, late: self.late, per_second: true })
    }

    fn last_n(&self) -> Result<LastNPlan, Problem> {
        if !(1.0..=1_000.0).contains(&self.count) {
            return Err(Problem::error("/count", format!("{} is not between 1 and 1,000", self.count)));
        }
        Ok(LastNPlan { count: self.count as usize })
    }

    fn buckets(&self) -> Result<Buckets, Problem> {
        match self.buckets {
            BucketKind::Automatic => Ok(Buckets::Automatic),
            BucketKind::Given => {
                let wrong = |text: String| Problem::error("/bounds", text);
                let parts = self.bounds.split([',', ';', ' ', '\n']).filter(|part| !part.is_empty());
                let bounds: Result<Vec<f64>, Problem> = parts
                    .map(|part| match part.parse::<f64>() {
                        Ok(bound) if bound.is_finite() => Ok(bound),
                        _ => Err(wrong(format!("\"{part}\" is no number; write bounds such as 10, 20, 50"))),
                    })
                    .collect();
                let bounds = bounds?;
                if bounds.is_empty() || bounds.len() > 100 || !bounds.is_sorted_by(|a, b| a < b) {
                    return Err(wrong("1 to 100 numbers are wanted, each larger than the one before".to_owned()));
                }
                Ok(Buckets::Given(bounds))
            }
            BucketKind::Exponential => {
                let (first, factor, count) = (self.first_bound, self.factor, self.bucket_count);
                for (at, fits, text) in [
                    ("/firstBound", first > 0.0, "has to be above 0"),
                    ("/factor", factor > 1.0, "has to be above 1"),
                    ("/bucketCount", (1.0..=100.0).contains(&count), "has to be between 1 and 100"),
                ] {
                    if !fits {
                        return Err(Problem::error(at, text));
                    }
                }
                Ok(Buckets::Given((0..count as i32).map(|step| first * factor.powi(step)).collect()))
            }
        }
    }

    fn machine(&self) -> Result<MachinePlan, Problem> {
        let lines = self.transitions.lines().map(str::trim).filter(|line| !line.is_empty());
        let transitions: Result<Vec<Transition>, Problem> = lines.map(transition).collect();
        Ok(MachinePlan {
            transitions: transitions?,
            initial: self.initial.trim().to_owned(),
            by_type: self.trigger == Trigger::Type,
            late: self.late,
        })
    }
}

fn transition(line: &str) -> Result<Transition, Problem> {
    let names = |text: &str| -> Vec<String> {
        text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
    };
    let parts = line.split_once("->").and_then(|(from, rest)| {
        let (to, triggers) = rest.split_once(':')?;
        Some((names(from), to.trim(), names(triggers)))
    });
    match parts {
        Some((mut from, to, triggers)) if !from.is_empty() && !to.is_empty() && !triggers.is_empty() => {
            if from.iter().any(|name| name == "*") {
                from.clear();
            }
            Ok(Transition { from, to: to.to_owned(), triggers })
        }
        _ => {
            let text = format!("\"{line}\" is no transition; write it as idle -> running: started");
            Err(Problem::error("/transitions", text))
        }
    }
}
