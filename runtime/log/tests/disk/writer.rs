//! The process that writes. Every line begins with @: `begin C`, `ack C POSITION`, `seen POSITION`,
//! `backup POSITION`, `error TEXT`.
//!
//! Commit C is one to four events `cC-0`, `cC-1`, … of one or two streams, and state that says C.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tidewire_log::backup::Progress;
use tidewire_log::{Commit, EventLog, JournalLog, JournalOptions};
use tidewire_model::append::{AppendError, AppendRequest, ExpectedVersion, StateChange};
use tidewire_model::event::{NewEvent, StreamName};
use tidewire_model::query::{Filter, Start};

/// So many write side by side, unless the test says otherwise. Commit C belongs to number C modulo this.
pub const TASKS: u64 = 3;

/// As small as it can be, so that segments end often.
pub fn options() -> JournalOptions {
    JournalOptions { segment_bytes: 32 * 1024, keep_events: 32, ..JournalOptions::default() }
}

/// How many events commit `c` has.
pub const fn events(c: u64) -> u64 {
    1 + c % 4
}

fn say(line: &str) {
    // One write, so that nothing is torn, and nothing of it is lost when the process dies.
    let mut out = std::io::stdout().lock();
    drop(out.write_all(format!("@{}\n", line.replace('\n', " ")).as_bytes()).and_then(|()| out.flush()));
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn commit(c: u64) -> Commit {
    let event = |i: u64| {
        let large = c % 11 == 3 && std::env::var("WRITER_SMALL").is_err();
        let padding = "x".repeat(if large { 5_000 + c as usize % 3_000 } else { c as usize % 300 });
        let data = serde_json::json!({"c": c, "i": i, "padding": padding});
        NewEvent::json("written", &data).with_id(format!("c{c}-{i}"))
    };
    let mut requests: Vec<AppendRequest> = Vec::new();
    for i in 0..events(c) {
        let stream = StreamName::new(format!("thing-{}", (c + i / 2) % 7)).unwrap();
        match requests.last_mut() {
            Some(last) if last.stream == stream => last.events.push(event(i)),
            _ => requests.push(AppendRequest { stream, expected: ExpectedVersion::Any, events: vec![event(i)] }),
        }
    }
    let value = Some(Bytes::copy_from_slice(&c.to_le_bytes()));
    Commit { requests, state: vec![StateChange { key: format!("commit/{c}").into(), value }] }
}

pub fn main(folder: &Path) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(write_all(folder));
}

async fn write_all(folder: &Path) {
    if std::env::var("WRITER_REBUILD").is_ok() {
        drop(std::fs::remove_dir_all(folder.join("sled")));
    }
    let log = match JournalLog::open_with(folder, options()) {
        Ok(log) => Arc::new(log),
        Err(error) => return say(&format!("refused {}", error.full_text())),
    };
    if let Err(error) = log.ready().await {
        say(&format!("refused {}", error.full_text()));
        return log.close().await;
    }
    if let Some(reason) = log.health().read_only {
        say(&format!("refused {reason}"));
        return log.close().await;
    }
    say("open");
    follow(&log);
    if std::env::var("WRITER_ARCHIVE").is_ok() {
        let log = Arc::clone(&log);
        tokio::spawn(async move {
            while let Ok(()) = log.archive().await {
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
        });
    }
    if let Ok(to) = std::env::var("WRITER_BACKUP") {
        let log = Arc::clone(&log);
        tokio::spawn(async move {
            loop {
                match log.back_up(to.clone().into(), vec![], Progress::default()).await {
                    Ok(report) => say(&format!("backup {}", report.end.position)),
                    Err(error) => say(&format!("error {error}")),
                }
            }
        });
    }
    let again = std::env::var("WRITER_AGAIN").unwrap_or_default();
    for c in again.split(',').filter_map(|c| c.parse().ok()) {
        write(&log, c).await;
    }
    let next = Arc::new(AtomicU64::new(number("WRITER_NEXT").unwrap_or(1)));
    let last = number("WRITER_COMMITS").map_or(u64::MAX, |count| next.load(Ordering::Relaxed) + count);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..number("WRITER_TASKS").unwrap_or(TASKS) {
        let (log, next) = (Arc::clone(&log), Arc::clone(&next));
        tasks.spawn(async move {
            loop {
                let c = next.fetch_add(1, Ordering::Relaxed);
                if c >= last {
                    return;
                }
                write(&log, c).await;
            }
        });
    }
    tasks.join_all().await;
    log.close().await;
    say("done");
}

async fn write(log: &JournalLog, c: u64) {
    say(&format!("begin {c}"));
    loop {
        match log.commit(commit(c)).await {
            Ok(appended) => return say(&format!("ack {c} {}", appended[0].first_position)),
            Err(error @ AppendError::DiskFull) if number("WRITER_COMMITS").is_none() => {
                say(&format!("error {error}"));
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) => return say(&format!("error {error}")),
        }
    }
}

/// Says what a subscriber sees: a crash may not take that away either.
fn follow(log: &Arc<JournalLog>) {
    let log = Arc::clone(log);
    tokio::spawn(async move {
        let start = Start::Position(log.head());
        let mut subscription = log.subscribe(Filter::default(), start).await.unwrap();
        while let Ok(delivery) = subscription.next_batch(100).await {
            if let Some(last) = delivery.events.last() {
                say(&format!("seen {}", last.position));
            }
        }
    });
}
