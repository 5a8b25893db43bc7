//! Figures of the log, each beside its limit measured in the same run.
//!
//! Called by `tidewire bench`; it prints nothing itself. Own and raw rounds alternate and the median counts, because
//! other load on the disk changes both.

mod append;
mod large;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use tidewire_model::append::{AppendError, AppendRequest};
use tidewire_model::event::{JSON, NewEvent, StreamName};

use crate::LogError;

pub use large::child;

/// One figure.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// What was measured.
    pub name: String,
    /// The figure.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
    /// What the machine could do at best.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<f64>,
    /// What the limit is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit_name: Option<&'static str>,
}

impl Row {
    fn new(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { name: name.into(), value, unit, limit: None, limit_name: None }
    }

    fn beside(self, limit: f64, limit_name: &'static str) -> Self {
        Self { limit: Some(limit), limit_name: Some(limit_name), ..self }
    }
}

/// Why a figure could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The log failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// An append was refused.
    #[error(transparent)]
    Append(#[from] AppendError),
    /// The process that holds the large log failed.
    #[error("the process with the large log {0}")]
    Child(String),
}

/// What to measure and how.
pub struct Plan<'a> {
    /// An empty folder.
    pub folder: &'a Path,
    /// Whether a figure whose name begins so is wanted.
    pub wanted: &'a dyn Fn(&str) -> bool,
    /// A command that calls [`child`] with the arguments that are added to it.
    pub child: &'a dyn Fn() -> Command,
}

/// Measures what is wanted: durable appends, reading, and a log of ten million events.
///
/// # Errors
/// When the log or the raw file fails.
pub async fn run(plan: &Plan<'_>) -> Result<Vec<Row>, BenchError> {
    let mut rows = Vec::new();
    if (plan.wanted)("append_events") || (plan.wanted)("append_ack") || (plan.wanted)("read_events") {
        rows.append(&mut append::figures(plan.folder).await?);
    }
    if (plan.wanted)("append_sustained") {
        rows.append(&mut append::sustained(plan.folder).await?);
    }
    if large::NAMES.iter().any(|name| (plan.wanted)(name)) {
        rows.append(&mut large::figures(plan)?);
    }
    Ok(rows)
}

/// The time that all threads of the process have spent on a core.
#[must_use]
pub fn cpu_time() -> Duration {
    let usage = |text: String| {
        let mut fields = text.rsplit_once(')')?.1.split_whitespace().skip(11);
        let mut ticks = || fields.next()?.parse::<u64>().ok();
        Some(Duration::from_millis((ticks()? + ticks()?) * 1000 / rustix::param::clock_ticks_per_second()))
    };
    std::fs::read_to_string("/proc/self/stat").ok().and_then(usage).unwrap_or_default()
}

fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<_> = figures.collect();
    figures.sort_unstable_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}

/// What a thing might report: about 200 bytes of JSON. No two are alike, so that compression has no easy time.
fn payload(number: u64) -> Bytes {
    // The finisher of splitmix64: the same numbers in every run.
    let mut mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^= mixed >> 27;
    let of = |shift: u64, range: u64| (mixed >> shift) % range;
    let text = format!(
        "{{\"temperature\":{}.{:02},\"humidity\":{}.{},\"battery\":{},\"pressure\":{}.{:02},\"n\":{number},\"location\":{{\
         \"building\":\"greenhouse\",\"row\":{},\"bench\":{}}},\"rssi\":-{},\"firmware\":\"2.4.{}\",\"status\":\"ok\"}}",
        of(0, 40),
        of(8, 100),
        of(14, 100),
        of(21, 10),
        of(25, 101),
        960 + of(32, 90),
        of(39, 100),
        of(46, 10),
        of(50, 40),
        30 + of(56, 60),
        of(60, 4),
    );
    Bytes::from(text)
}

fn stream(number: u64) -> Result<StreamName, AppendError> {
    Ok(StreamName::new(format!("thing-greenhouse-{number}"))?)
}

fn reading(stream: StreamName, data: Bytes) -> AppendRequest {
    AppendRequest::one(stream, NewEvent::new("reading-reported", JSON, data).with_source("/bench"))
}
