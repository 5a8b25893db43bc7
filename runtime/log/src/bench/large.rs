//! A log of ten million events: its size on disk and in memory, how fast it opens and how fast it answers.
//!
//! The log lives in a process of its own, so that its memory can be measured and it can be killed.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tidewire_model::append::AppendRequest;
use tidewire_model::position::Position;
use tidewire_model::query::{Direction, Filter, Query};

use super::{BenchError, Plan, Row, median, payload, reading, stream};
use crate::{EventLog, JournalLog, LogError};

/// What needs the large log.
pub(super) const NAMES: [&str; 6] = [
    "query_stream_ms",
    "query_time_ms",
    "disk_bytes_per_event_byte",
    "rss_mib_10m_events",
    "startup_ms_clean",
    "startup_ms_after_kill",
];
const EVENTS: u64 = 10_000_000;
const STREAMS: u64 = 1000;
const BATCH: u64 = 1000;
/// Each kind of query is asked so often, somewhere else each time.
const QUERIES: u64 = 40;
const LIMIT: usize = 100;
/// How long it goes on appending before it is killed.
const BEFORE_KILL: Duration = Duration::from_secs(1);

/// What the process says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Report {
    /// How many bytes were proposed for an event.
    event_bytes: f64,
    events: u64,
    query_stream_ms: f64,
    query_time_ms: f64,
    rss_mib: f64,
}

/// Fills the log, kills it, opens it and, after a clean stop, opens it again.
pub(super) fn figures(plan: &Plan<'_>) -> Result<Vec<Row>, BenchError> {
    let folder = plan.folder.join("large");
    fs::create_dir_all(&folder).map_err(LogError::io("create the folder", &folder))?;
    let mut filling = Process::start(plan, &folder, "fill")?;
    let filled = filling.hear()?;
    std::thread::sleep(BEFORE_KILL);
    filling.child.kill().and_then(|()| filling.child.wait()).map_err(|error| failed(&error))?;
    let (after_kill, _) = start(plan, &folder)?;
    let (clean, asked) = start(plan, &folder)?;
    let disk = disk_bytes(&folder.join("log")).map_err(LogError::io("measure", &folder))?;
    let proposed = filled.event_bytes * asked.events as f64;
    fs::remove_dir_all(&folder).map_err(LogError::io("remove", &folder))?;
    Ok(vec![
        Row::new("query_stream_ms", asked.query_stream_ms, "ms"),
        Row::new("query_time_ms", asked.query_time_ms, "ms"),
        Row::new("disk_bytes_per_event_byte", disk as f64 / proposed, ""),
        Row::new("rss_mib_10m_events", asked.rss_mib, "MiB"),
        Row::new("rss_mib_10m_events_filling", filled.rss_mib, "MiB"),
        Row::new("startup_ms_clean", clean, "ms"),
        Row::new("startup_ms_after_kill", after_kill, "ms"),
    ])
}

/// Opens the log; answers how long that took, in milliseconds, and what it answered to queries.
fn start(plan: &Plan<'_>, folder: &Path) -> Result<(f64, Report), BenchError> {
    let began = Instant::now();
    let mut process = Process::start(plan, folder, "open")?;
    process.hear()?;
    let took = began.elapsed().as_secs_f64() * 1000.0;
    let report = process.hear()?;
    process.end()?;
    Ok((took, report))
}

fn failed(error: &dyn std::fmt::Display) -> BenchError {
    BenchError::Child(format!("failed: {error}"))
}

struct Process {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Process {
    fn start(plan: &Plan<'_>, folder: &Path, what: &str) -> Result<Self, BenchError> {
        let mut command: Command = (plan.child)();
        let mut child = command.arg(folder).arg(what).stdout(Stdio::piped()).spawn().map_err(|error| failed(&error))?;
        let lines = child.stdout.take().ok_or_else(|| failed(&"it has no output"))?;
        Ok(Self { child, lines: BufReader::new(lines) })
    }

    /// Its next line.
    fn hear(&mut self) -> Result<Report, BenchError> {
        let mut line = String::new();
        self.lines.read_line(&mut line).map_err(|error| failed(&error))?;
        serde_json::from_str(&line).map_err(|error| failed(&error))
    }

    fn end(mut self) -> Result<(), BenchError> {
        let status = self.child.wait().map_err(|error| failed(&error))?;
        if status.success() { Ok(()) } else { Err(failed(&status)) }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already, unless something failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the disk holds, without holes.
fn disk_bytes(folder: &Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let about = entry.metadata()?;
        bytes += if about.is_dir() { disk_bytes(&entry.path())? } else { about.blocks() * 512 };
    }
    Ok(bytes)
}

/// The process with the large log: `folder` and what to do are what [`run`](super::run) added to the command.
///
/// # Errors
/// When the log fails.
pub async fn child(folder: &Path, what: &str) -> Result<(), BenchError> {
    let log = JournalLog::open(folder.join("log"))?;
    log.ready().await?;
    match what {
        "fill" => {
            let event_bytes = append(&log, EVENTS).await? as f64 / EVENTS as f64;
            say(Report { event_bytes, rss_mib: peak_mib(), ..Report::default() });
            // Until it is killed.
            append(&log, EVENTS).await?;
            log.close().await;
        }
        _ => {
            say(Report { rss_mib: peak_mib(), ..Report::default() });
            let query_stream_ms = ask(&log, true).await?;
            let query_time_ms = ask(&log, false).await?;
            let (events, rss_mib) = (log.head().get(), peak_mib());
            say(Report { events, query_stream_ms, query_time_ms, rss_mib, ..Report::default() });
            log.close().await;
        }
    }
    Ok(())
}

fn say(report: Report) {
    if let Ok(line) = serde_json::to_string(&report) {
        // Who started this process measures nothing any more when it does not listen.
        drop(writeln!(std::io::stdout(), "{line}"));
    }
}

/// Appends events in batches, several under way; answers how many bytes were proposed.
async fn append(log: &JournalLog, events: u64) -> Result<u64, BenchError> {
    let streams = (0..STREAMS).map(stream).collect::<Result<Vec<_>, _>>()?;
    let mut tasks = tokio::task::JoinSet::new();
    let mut bytes = 0;
    for batch in 0..events / BATCH {
        let numbers = batch * BATCH..(batch + 1) * BATCH;
        let named = numbers.zip(streams.iter().cloned().cycle());
        let requests: Vec<_> = named.map(|(number, stream)| reading(stream, payload(number))).collect();
        bytes += requests.iter().map(AppendRequest::size).sum::<usize>() as u64;
        let log = log.clone();
        tasks
            .spawn(async move { log.append_each(requests).await.into_iter().collect::<Result<Vec<_>, _>>().map(drop) });
        if tasks.len() >= 4
            && let Some(done) = tasks.join_next().await
        {
            done.map_err(|error| failed(&error))??;
        }
    }
    while let Some(done) = tasks.join_next().await {
        done.map_err(|error| failed(&error))??;
    }
    Ok(bytes)
}

/// The usual time, in milliseconds, that the last events of a stream, or those from a moment on, take to read.
async fn ask(log: &JournalLog, by_stream: bool) -> Result<f64, BenchError> {
    let head = log.head().get();
    let mut times = Vec::new();
    for number in 0..QUERIES {
        let place = Position::new(1 + (head - 1) / QUERIES * number);
        let mut filter = Filter::default();
        let mut query = if by_stream {
            filter.stream = Some(format!("thing-greenhouse-{}", number * 23 % STREAMS).into());
            Query::forwards(filter, place, LIMIT)
        } else {
            filter.from_time = log.event_at(place).await?.map(|event| event.recorded_time);
            Query::forwards(filter, Position::FIRST, LIMIT)
        };
        if by_stream && number % 2 == 1 {
            query.direction = Direction::Backwards;
        }
        let asked = Instant::now();
        let page = log.read(query).await?;
        if !page.events.is_empty() {
            times.push(asked.elapsed().as_secs_f64() * 1000.0);
        }
    }
    Ok(median(times.into_iter()))
}

/// The most memory that this process has had resident.
fn peak_mib() -> f64 {
    let kib = |text: String| {
        let line = text.lines().find(|line| line.starts_with("VmHWM:"))?.to_owned();
        line.split_whitespace().nth(1)?.parse::<f64>().ok()
    };
    std::fs::read_to_string("/proc/self/status").ok().and_then(kib).unwrap_or_default() / 1024.0
}
