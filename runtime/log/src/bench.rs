//! Figures of the log, each beside its limit measured in the same run.
//!
//! Called by `tidewire bench`; it prints nothing itself. Own and raw rounds alternate and the median counts, because
//! other load on the disk changes both.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::Serialize;
use tidewire_model::append::{AppendError, AppendRequest};
use tidewire_model::event::{JSON, NewEvent, StreamName};
use tidewire_model::position::Position;
use tidewire_model::query::{Filter, Query};

use crate::{EventLog, JournalLog, LogError};

const ROUNDS: usize = 3;
const ROUND: Duration = Duration::from_millis(700);

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

/// Why a figure could not be measured.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The log failed.
    #[error(transparent)]
    Log(#[from] LogError),
    /// An append was refused.
    #[error(transparent)]
    Append(#[from] AppendError),
}

/// Measures durable appends at 1, 10, 100 and 1000 in flight, and reading, in an empty folder.
///
/// # Errors
/// When the log or the raw file fails.
pub async fn run(folder: &Path) -> Result<Vec<Row>, BenchError> {
    let log = JournalLog::open(folder.join("log"))?;
    log.ready().await?;
    let mut rows = Vec::new();
    for in_flight in [1, 10, 100, 1000] {
        let (mut own, mut raw) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            raw.push(raw_round(folder, in_flight)?);
            own.push(own_round(&log, in_flight).await?);
        }
        rows.push(Row {
            name: format!("append_events_per_s_{in_flight}"),
            value: median(own.iter().map(|round| round.rate)),
            unit: "events/s",
            limit: Some(median(raw.iter().map(|round| round.rate))),
            limit_name: Some("write + fdatasync of the same bytes"),
        });
        if in_flight == 100 {
            rows.push(Row {
                name: "append_ack_p99_ms_100".to_owned(),
                value: median(own.iter().map(|round| round.p99_ms)),
                unit: "ms",
                limit: Some(median(raw.iter().map(|round| round.p99_ms))),
                limit_name: Some("write + fdatasync of the same bytes"),
            });
        }
    }
    rows.push(read_all(&log).await?);
    log.close().await;
    Ok(rows)
}

struct Round {
    rate: f64,
    p99_ms: f64,
}

impl Round {
    fn of(count: u64, took: Duration, mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let p99 = times.get(times.len().saturating_sub(1) * 99 / 100).copied().unwrap_or_default();
        Self { rate: count as f64 / took.as_secs_f64(), p99_ms: p99.as_secs_f64() * 1000.0 }
    }
}

fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<_> = figures.collect();
    figures.sort_unstable_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}

/// What a thing might report: about 200 bytes of JSON, made once so that making it is not measured.
fn payloads() -> Vec<Bytes> {
    let payload = |n: u32| {
        let data = serde_json::json!({"temperature": 20.0 + f64::from(n) / 7.0, "humidity": n % 100, "battery": 97, "n": n,
            "location": {"building": "greenhouse", "row": n % 10}, "status": "ok"});
        Bytes::from(data.to_string())
    };
    (0..256).map(payload).collect()
}

async fn own_round(log: &JournalLog, in_flight: usize) -> Result<Round, BenchError> {
    let count = Arc::new(AtomicU64::new(0));
    let payloads = Arc::new(payloads());
    let began = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for thing in 0..in_flight {
        let (log, count, payloads) = (log.clone(), Arc::clone(&count), Arc::clone(&payloads));
        let stream = StreamName::new(format!("thing-greenhouse-{}", thing % 100)).map_err(AppendError::from)?;
        tasks.spawn(async move {
            let mut times = Vec::new();
            while began.elapsed() < ROUND {
                let payload = payloads.get((times.len() + thing) % payloads.len()).cloned().unwrap_or_default();
                let event = NewEvent::new("reading-reported", JSON, payload).with_source("/bench");
                let sent = Instant::now();
                log.append(vec![AppendRequest::one(stream.clone(), event)]).await?;
                times.push(sent.elapsed());
                count.fetch_add(1, Ordering::Relaxed);
            }
            Ok::<_, BenchError>(times)
        });
    }
    let mut times = Vec::new();
    while let Some(done) = tasks.join_next().await {
        times.append(&mut done.map_err(|error| LogError::Store(error.to_string()))??);
    }
    Ok(Round::of(count.load(Ordering::Relaxed), began.elapsed(), times))
}

/// The same bytes in one `write` and one `fdatasync` per batch, on a growing file.
fn raw_round(folder: &Path, in_flight: usize) -> Result<Round, BenchError> {
    let path = folder.join("raw");
    let mut file = File::create(&path).map_err(LogError::io("create", &path))?;
    let batch = vec![b'x'; in_flight * 260];
    let (mut count, mut times) = (0, Vec::new());
    let began = Instant::now();
    while began.elapsed() < ROUND {
        let sent = Instant::now();
        file.write_all(&batch).and_then(|()| file.sync_data()).map_err(LogError::io("write", &path))?;
        times.push(sent.elapsed());
        count += in_flight as u64;
    }
    Ok(Round::of(count, began.elapsed(), times))
}

async fn read_all(log: &JournalLog) -> Result<Row, BenchError> {
    let began = Instant::now();
    let (mut count, mut next) = (0, Some(Position::FIRST));
    while let Some(from) = next {
        let page = log.read(Query::forwards(Filter::default(), from, Query::MAX_LIMIT)).await?;
        count += page.events.len();
        next = page.next;
    }
    let rate = count as f64 / began.elapsed().as_secs_f64();
    Ok(Row { name: "read_events_per_s".to_owned(), value: rate, unit: "events/s", limit: None, limit_name: None })
}
