//! How fast read models are built from history, beside reading the same events without one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tidewire_engine::projections::ProjectionService;
use tidewire_log::bench::cpu_time;
use tidewire_log::{EventLog, JournalLog};
use tidewire_model::append::{AppendError, AppendRequest};
use tidewire_model::event::{JSON, NewEvent, StreamName};
use tidewire_model::position::Position;
use tidewire_model::query::{Filter, Query};
use tidewire_node_api::handles::Projections as _;

use crate::cli::Failure;

const EVENTS: u64 = 400_000;
const STREAMS: u64 = 100;
const BATCH: u64 = 1_000;
const ROUNDS: usize = 3;

/// Reducers that are measured; the first gives the figure without a suffix.
const REDUCERS: [(&str, &str); 6] = [
    ("", r#"{"reducer":"average","property":"temperature"}"#),
    ("_count", r#"{"reducer":"count"}"#),
    ("_latest", r#"{"reducer":"latest","property":"location.row"}"#),
    ("_tumbling", r#"{"reducer":"average","property":"temperature","window":"tumbling","length":60}"#),
    ("_sliding", r#"{"reducer":"max","property":"temperature","window":"sliding","length":3600}"#),
    ("_histogram", r#"{"reducer":"histogram","property":"temperature"}"#),
];

/// Over how long it is looked whether the log still works on what was appended, and how little is nothing.
const QUIET: (Duration, Duration) = (Duration::from_millis(500), Duration::from_millis(10));

/// How fast one was built, and how long all threads together worked on each event.
type Built = (f64, f64);

/// Builds read models over a log on disk.
pub(super) async fn figures(folder: &std::path::Path) -> Result<Vec<Value>, Failure> {
    let log: Arc<dyn EventLog> = Arc::new(JournalLog::open(folder.join("projection-log"))?);
    log.ready().await?;
    fill(&log).await?;
    let mut reads = Vec::new();
    let mut built: Vec<Vec<Built>> = vec![Vec::new(); REDUCERS.len()];
    for round in 0..ROUNDS {
        reads.push(read(&log).await?);
        for ((suffix, config), built) in REDUCERS.iter().zip(&mut built) {
            built.push(build(&log, &format!("bench{suffix}{round}"), config).await?);
        }
    }
    let limit = median(reads);
    let mut figures = Vec::new();
    for ((suffix, _), built) in REDUCERS.iter().zip(built) {
        let (rates, cpu): (Vec<f64>, Vec<f64>) = built.into_iter().unzip();
        figures.push(json!({"name": format!("projection_events_per_s{suffix}"), "value": median(rates),
            "unit": "events/s", "limit": limit, "limit_name": "catch-up read of the same events"}));
        figures.push(json!({"name": format!("projection_cpu_us{suffix}"), "value": median(cpu) * 1e6, "unit": "us"}));
    }
    log.close().await;
    Ok(figures)
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or_default()
}

/// Events of about 200 bytes from a hundred things, every ten seconds one from each.
async fn fill(log: &Arc<dyn EventLog>) -> Result<(), Failure> {
    let mut n = 0;
    while n < EVENTS {
        let mut requests = Vec::new();
        for _ in 0..BATCH {
            let data = json!({"temperature": 20.0 + (n % 977) as f64 / 7.0, "humidity": n % 100, "battery": 97, "n": n,
                "location": {"building": "greenhouse", "row": n % 10, "place": "north, beside the second door"},
                "status": "ok", "firmware": "2.4.1", "signal": -61, "uptime": n / 3});
            let mut event =
                NewEvent::new("reading-reported", JSON, data.to_string().into_bytes()).with_source("/bench");
            event.time = Some(1_700_000_000_000 + i64::try_from(n / STREAMS).unwrap_or(0) * 10_000);
            let stream = StreamName::new(format!("thing-greenhouse-{}", n % STREAMS)).map_err(AppendError::from)?;
            requests.push(AppendRequest::one(stream, event));
            n += 1;
        }
        log.append(requests).await?;
    }
    // What is measured is history, not the tail in memory.
    while log.health().store_lag > 2_000 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Nor is it the making of indexes and archives.
    loop {
        let before = cpu_time();
        tokio::time::sleep(QUIET.0).await;
        if cpu_time().saturating_sub(before) <= QUIET.1 {
            return Ok(());
        }
    }
}

async fn read(log: &Arc<dyn EventLog>) -> Result<f64, Failure> {
    let began = Instant::now();
    let (mut count, mut next) = (0, Some(Position::FIRST));
    while let Some(from) = next {
        let page = log.read(Query::forwards(Filter::default(), from, Query::MAX_LIMIT)).await?;
        count += page.events.len();
        next = page.next;
    }
    Ok(count as f64 / began.elapsed().as_secs_f64())
}

async fn build(log: &Arc<dyn EventLog>, name: &str, config: &str) -> Result<Built, Failure> {
    let projections = ProjectionService::new(Arc::clone(log), tokio::runtime::Handle::current());
    let spec = tidewire_nodes::read_model(name, serde_json::from_str(config)?).map_err(Failure::usage)?;
    let (began, worked) = (Instant::now(), cpu_time());
    let guard = projections.keep(spec, Box::new(|_| ()))?;
    projections.wait_for(name, log.head()).await?;
    let events = log.head().get() as f64;
    let rate = events / began.elapsed().as_secs_f64();
    let cpu = cpu_time().saturating_sub(worked).as_secs_f64() / events;
    drop(guard);
    projections.close().await;
    Ok((rate, cpu))
}
