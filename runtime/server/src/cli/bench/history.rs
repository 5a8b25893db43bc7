//! What a month of one reading takes: bytes in the read model and on disk, and the time of a request for a chart.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};
use tidewire_engine::projections::ProjectionService;
use tidewire_log::{EventLog, JournalLog};
use tidewire_model::append::{AppendError, AppendRequest};
use tidewire_model::event::{NewEvent, StreamName};
use tidewire_model::value::codec;

use crate::cli::Failure;
use crate::history::{Asked, History, Keeping, NAME};

const MONTH: i64 = 30 * 86_400_000;
const EVERY: i64 = 2_000;
const START: i64 = 1_760_000_000_000;
const BATCH: i64 = 2_000;
/// Bytes of an entry beside its key and its value: position, time and marks.
const ENTRY: usize = 24;
const ROUNDS: usize = 21;

/// Keeps a month of readings of one property, one every two seconds, over a log on disk; nothing of it expires.
pub(super) async fn figures(folder: &Path) -> Result<Vec<Value>, Failure> {
    let place = folder.join("history-log");
    let log: Arc<dyn EventLog> = Arc::new(JournalLog::open(&place)?);
    log.ready().await?;
    let stream = StreamName::new("thing-boiler").map_err(AppendError::from)?;
    let readings = MONTH / EVERY;
    let mut n = 0;
    while n < readings {
        let event = |n: i64| {
            let celsius = (2_000.0 + (n as f64 / 700.0).sin() * 500.0 + (n % 13) as f64).round() / 100.0;
            let mut event = NewEvent::json("reading-reported", &json!({ "celsius": celsius }));
            event.time = Some(START + n * EVERY);
            AppendRequest::one(stream.clone(), event)
        };
        log.append((n..(n + BATCH).min(readings)).map(event).collect()).await?;
        n += BATCH;
    }
    let projections = ProjectionService::new(Arc::clone(&log), tokio::runtime::Handle::current());
    let began = Instant::now();
    let history = History::keep(&projections, Keeping { seconds: 0, minutes: 0, hours: 0, days: 0 });
    projections.wait_for(NAME, log.head()).await?;
    let rate = readings as f64 / began.elapsed().as_secs_f64();
    let bytes = kept_bytes(&projections)?;
    let asked = |points| Asked { from: START, to: START + MONTH, step: None, points };
    let mut figures = vec![
        json!({"name": "history_events_per_s", "value": rate, "unit": "events/s"}),
        json!({"name": "history_bytes_per_reading", "value": bytes as f64 / readings as f64, "unit": "bytes"}),
    ];
    for (name, points) in [("history_month_request_ms", 300), ("history_month_2000_points_ms", 2_000)] {
        let mut times = Vec::new();
        for _ in 0..ROUNDS {
            let began = Instant::now();
            history.read("boiler", "celsius", asked(points), START + MONTH).await?;
            times.push(began.elapsed().as_secs_f64() * 1_000.0);
        }
        times.sort_unstable_by(f64::total_cmp);
        figures.push(json!({"name": name, "value": times.get(ROUNDS / 2), "unit": "ms"}));
    }
    history.stop();
    projections.close().await;
    log.close().await;
    // As the store leaves it when it is closed.
    let disk = folder_bytes(&place.join("projections"))? as f64 / readings as f64;
    figures.push(json!({"name": "history_disk_bytes_per_reading", "value": disk, "unit": "bytes"}));
    Ok(figures)
}

/// Bytes of all entries: keys, values, and what stands beside them.
fn kept_bytes(projections: &ProjectionService) -> Result<usize, Failure> {
    let mut bytes = 0;
    let mut after: Option<String> = None;
    loop {
        let page = projections.page(NAME, "", after.as_deref(), 1_000)?;
        for entry in &page {
            let mut value = Vec::new();
            codec::write(&entry.value, &mut value);
            bytes += entry.key.len() + value.len() + ENTRY;
        }
        match page.into_iter().next_back() {
            Some(entry) => after = Some(entry.key),
            None => return Ok(bytes),
        }
    }
}

fn folder_bytes(folder: &Path) -> Result<u64, Failure> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let data = entry.metadata()?;
        bytes += if data.is_dir() { folder_bytes(&entry.path())? } else { data.len() };
    }
    Ok(bytes)
}
