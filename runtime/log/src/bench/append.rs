//! Durable appends and reading them again.
//!
//! *n in flight* is what sources do that do not wait for each single event: a few producers, each of which queues
//! events one by one ([`EventLog::queue`], as incoming MQTT messages are) and has its share of the n unconfirmed. Every
//! event is a commit of its own and is confirmed by itself.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tidewire_model::position::Position;
use tidewire_model::query::{Filter, Query};

use super::{BenchError, Row, cpu_time, median, payload, reading, stream};
use crate::{Commit, EventLog, JournalLog, JournalOptions, LogError};

const ROUNDS: usize = 3;
const ROUND: Duration = Duration::from_millis(700);
const PRODUCERS: usize = 4;
const STREAMS: u64 = 100;
const RAW: &str = "write + fdatasync of the same bytes";
/// What a sync may take on a memory card, or on a disk that has to reach its platters.
const SLOWER: Duration = Duration::from_millis(5);
/// How long the sustained load lasts.
const SUSTAINED: Duration = Duration::from_secs(60);
/// How often the store is asked how far it is.
const SAMPLE: Duration = Duration::from_millis(20);

struct Round {
    rate: f64,
    p50_ms: f64,
    p99_ms: f64,
    /// Seconds that all cores together spent on one event.
    cpu: f64,
}

impl Round {
    fn of(count: u64, took: Duration, mut times: Vec<Duration>, cpu: Duration) -> Self {
        times.sort_unstable();
        let at = |percent: usize| times.get(times.len().saturating_sub(1) * percent / 100).copied().unwrap_or_default();
        Self {
            rate: count as f64 / took.as_secs_f64(),
            p50_ms: at(50).as_secs_f64() * 1000.0,
            p99_ms: at(99).as_secs_f64() * 1000.0,
            cpu: cpu.as_secs_f64() / count.max(1) as f64,
        }
    }
}

/// Appends with 1, 10, 100 and 1000 in flight, then reading everything; and appends on a slower disk.
pub(super) async fn figures(folder: &Path) -> Result<Vec<Row>, BenchError> {
    let log = JournalLog::open(folder.join("log"))?;
    log.ready().await?;
    let mut rows = Vec::new();
    for in_flight in [1, 10, 100, 1000] {
        let (own, raw) = rounds(&log, folder, in_flight, Duration::ZERO).await?;
        rows.push(beside(format!("append_events_per_s_{in_flight}"), "events/s", (&own, &raw), |round| round.rate));
        if in_flight == 1 {
            rows.push(Row::new("append_sync_ms", median(raw.iter().map(|round| round.p50_ms)), "ms"));
        }
        if in_flight == 100 {
            rows.push(beside("append_ack_p50_ms_100", "ms", (&own, &raw), |round| round.p50_ms));
            rows.push(beside("append_ack_p99_ms_100", "ms", (&own, &raw), |round| round.p99_ms));
        }
        if in_flight >= 100 {
            let cpu = median(own.iter().map(|round| round.cpu));
            rows.push(Row::new(format!("append_events_cpu_us_{in_flight}"), cpu * 1e6, "us"));
        }
    }
    rows.append(&mut read_all(&log).await?);
    log.close().await;
    rows.append(&mut on_a_slower_disk(folder).await?);
    Ok(rows)
}

/// What comes of the same appends when every sync takes longer, of the raw bytes as well.
async fn on_a_slower_disk(folder: &Path) -> Result<Vec<Row>, BenchError> {
    let options = JournalOptions { commit_delay: SLOWER, ..JournalOptions::default() };
    let log = JournalLog::open_with(folder.join("slower"), options)?;
    log.ready().await?;
    let mut rows = Vec::new();
    for in_flight in [100, 1000] {
        let (own, raw) = rounds(&log, folder, in_flight, SLOWER).await?;
        let name = format!("append_events_per_s_{in_flight}_sync_{}ms", SLOWER.as_millis());
        rows.push(beside(name, "events/s", (&own, &raw), |round| round.rate));
    }
    log.close().await;
    Ok(rows)
}

/// Own rounds and raw ones, by turns.
async fn rounds(
    log: &JournalLog,
    folder: &Path,
    in_flight: usize,
    delay: Duration,
) -> Result<(Vec<Round>, Vec<Round>), BenchError> {
    let (mut own, mut raw) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        raw.push(raw_round(folder, in_flight, delay)?);
        own.push(own_round(log, in_flight, ROUND).await?);
    }
    Ok((own, raw))
}

fn beside(
    name: impl Into<String>,
    unit: &'static str,
    (own, raw): (&[Round], &[Round]),
    of: impl Fn(&Round) -> f64 + Copy,
) -> Row {
    Row::new(name, median(own.iter().map(of)), unit).beside(median(raw.iter().map(of)), RAW)
}

/// A minute at full speed, with the most that the store was behind.
pub(super) async fn sustained(folder: &Path) -> Result<Vec<Row>, BenchError> {
    let log = JournalLog::open(folder.join("sustained"))?;
    log.ready().await?;
    let watch = {
        let log = log.clone();
        tokio::spawn(async move {
            let mut worst = Duration::ZERO;
            // When the log's head was where; what the store has reached is dropped.
            let mut heads = VecDeque::new();
            while !log.is_closed() {
                let health = log.health();
                let stored = health.head.get().saturating_sub(health.store_lag);
                heads.push_back((health.head.get(), Instant::now()));
                while heads.front().is_some_and(|(head, _)| *head <= stored) {
                    heads.pop_front();
                }
                worst = worst.max(heads.front().map_or(Duration::ZERO, |(_, since)| since.elapsed()));
                tokio::time::sleep(SAMPLE).await;
            }
            worst
        })
    };
    let round = own_round(&log, 1000, SUSTAINED).await?;
    log.close().await;
    let worst = watch.await.unwrap_or_default();
    Ok(vec![
        Row::new("append_sustained_events_per_s", round.rate, "events/s"),
        Row::new("append_sustained_ack_p99_ms", round.p99_ms, "ms"),
        Row::new("append_sustained_store_lag_s", worst.as_secs_f64(), "s"),
        Row::new("append_sustained_cpu_us", round.cpu * 1e6, "us"),
    ])
}

async fn own_round(log: &JournalLog, in_flight: usize, round: Duration) -> Result<Round, BenchError> {
    let payloads: Vec<Bytes> = (0..4096).map(payload).collect();
    let producers = PRODUCERS.min(in_flight);
    let (began, cpu) = (Instant::now(), cpu_time());
    let mut tasks = tokio::task::JoinSet::new();
    for producer in 0..producers {
        let (log, payloads) = (log.clone(), payloads.clone());
        let streams = (0..STREAMS).map(stream).collect::<Result<Vec<_>, _>>()?;
        let window = in_flight / producers + usize::from(producer < in_flight % producers);
        tasks.spawn(async move {
            let (mut times, mut waiting) = (Vec::new(), VecDeque::with_capacity(window));
            let next = |number: usize| {
                let data = payloads.get((number * 7 + producer) % payloads.len()).cloned().unwrap_or_default();
                let stream = streams.get((number + producer * 25) % streams.len()).cloned();
                stream.map(|stream| Commit { requests: vec![reading(stream, data)], state: Vec::new() })
            };
            let mut number = 0;
            loop {
                while waiting.len() < window && began.elapsed() < round {
                    let Some(commit) = next(number) else { break };
                    number += 1;
                    let sent = Instant::now();
                    waiting.push_back((sent, log.queue(commit).await?));
                }
                let Some((sent, ticket)) = waiting.pop_front() else { return Ok::<_, BenchError>(times) };
                ticket.await?;
                times.push(sent.elapsed());
            }
        });
    }
    let mut times = Vec::new();
    while let Some(done) = tasks.join_next().await {
        times.append(&mut done.map_err(|error| LogError::Store(error.to_string()))??);
    }
    let took = began.elapsed();
    Ok(Round::of(times.len() as u64, took, times, cpu_time().saturating_sub(cpu)))
}

/// The same bytes in one `write` and one `fdatasync` per batch, on a growing file. Every sync takes so much longer.
fn raw_round(folder: &Path, in_flight: usize, delay: Duration) -> Result<Round, BenchError> {
    let path = folder.join("raw");
    let mut file = File::create(&path).map_err(LogError::io("create", &path))?;
    let batch = vec![b'x'; in_flight * 300];
    let (mut count, mut times) = (0, Vec::new());
    let (began, cpu) = (Instant::now(), cpu_time());
    while began.elapsed() < ROUND {
        let sent = Instant::now();
        file.write_all(&batch).and_then(|()| file.sync_data()).map_err(LogError::io("write", &path))?;
        std::thread::sleep(delay);
        times.push(sent.elapsed());
        count += in_flight as u64;
    }
    Ok(Round::of(count, began.elapsed(), times, cpu_time().saturating_sub(cpu)))
}

async fn read_all(log: &JournalLog) -> Result<Vec<Row>, BenchError> {
    let (began, cpu) = (Instant::now(), cpu_time());
    let (mut count, mut next) = (0, Some(Position::FIRST));
    while let Some(from) = next {
        let page = log.read(Query::forwards(Filter::default(), from, Query::MAX_LIMIT)).await?;
        count += page.events.len();
        next = page.next;
    }
    let rate = count as f64 / began.elapsed().as_secs_f64();
    let cpu = cpu_time().saturating_sub(cpu).as_secs_f64() / count.max(1) as f64;
    Ok(vec![Row::new("read_events_per_s", rate, "events/s"), Row::new("read_events_cpu_us", cpu * 1e6, "us")])
}
