//! The process that writes. Every line begins with @: `begin C`, `ack C POSITION`, `seen POSITION`,
//! `backup POSITION`, `day N`, `dropped EVENTS`, `erased KEY`, `clean KEY`, `error TEXT`.
//!
//! Commit C is one to four events `cC-0`, `cC-1`, … of one or two streams, and state that says C. A pass of retention
//! may drop those of type [`DROPPED`], but for the [`KEPT`] newest of each stream; its clock goes in steps of two days.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use tidewire_log::backup::{Others, Progress};
use tidewire_log::{BeforeDrop, Commit, CompactOrder, EventLog, JournalLog, JournalOptions, set_policies};
use tidewire_model::append::{AppendError, AppendRequest, ExpectedVersion, StateChange};
use tidewire_model::event::{NewEvent, StreamName};
use tidewire_model::query::{Filter, Start};
use tidewire_model::retention::RetentionPolicy;
use tokio::sync::RwLock;

use crate::people::{self, People};
use crate::tally;

/// So many write side by side, unless the test says otherwise. Commit C belongs to number C modulo this.
pub const TASKS: u64 = 3;

/// So many streams there are: some have not changed for longer than others.
pub const STREAMS: u64 = 31;
/// The type of the events that retention may drop.
pub const DROPPED: &str = "measured";
/// So many newest events of each stream stay.
pub const KEPT: u64 = 3;
/// So many keys are written again and again.
pub const LATEST: u64 = 5;
/// How far the clock goes in one step: what was written before is old enough to be dropped.
const STEP_MS: i64 = 2 * 24 * 60 * 60 * 1000;

/// As small as it can be, so that segments end often. The clock is `days` steps ahead.
pub fn options(days: &Arc<AtomicI64>) -> JournalOptions {
    let days = Arc::clone(days);
    let clock = move || {
        let now = UNIX_EPOCH.elapsed().unwrap().as_millis() as i64;
        now + days.load(Ordering::SeqCst) * STEP_MS
    };
    JournalOptions {
        segment_bytes: 32 * 1024,
        keep_events: 32,
        refresh_after: 64 * 1024,
        clock: Arc::new(clock),
        personal: vec![people::PATTERN.into()],
        ..JournalOptions::default()
    }
}

/// Whether retention may drop event `i` of commit `c`, by its type.
pub const fn may_go(c: u64, i: u64) -> bool {
    !(c + i).is_multiple_of(3)
}

/// How many events commit `c` has.
pub const fn events(c: u64) -> u64 {
    1 + c % 4
}

pub fn say(line: &str) {
    // One write, so that nothing is torn, and nothing of it is lost when the process dies.
    let mut out = std::io::stdout().lock();
    drop(out.write_all(format!("@{}\n", line.replace('\n', " ")).as_bytes()).and_then(|()| out.flush()));
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn commit(c: u64) -> Commit {
    let event = |i: u64| {
        let is_set = |name: &str| std::env::var(name).is_ok();
        let large = c % 11 == 3 && !is_set("WRITER_SMALL") || is_set("WRITER_LARGE");
        let padding = "x".repeat(if large { 5_000 + c as usize % 3_000 } else { c as usize % 300 });
        let data = serde_json::json!({"c": c, "i": i, "text": people::text(c, i), "padding": padding});
        NewEvent::json(if may_go(c, i) { DROPPED } else { "written" }, &data).with_id(format!("c{c}-{i}"))
    };
    let mut requests: Vec<AppendRequest> = Vec::new();
    for i in 0..events(c) {
        let thing = || format!("thing-{}", (c + i / 2) % STREAMS);
        let stream = StreamName::new(people::stream_of(c, i).unwrap_or_else(thing)).unwrap();
        match requests.last_mut() {
            Some(last) if last.stream == stream => last.events.push(event(i)),
            _ => requests.push(AppendRequest { stream, expected: ExpectedVersion::Any, events: vec![event(i)] }),
        }
    }
    let state = [format!("commit/{c}"), format!("latest/{}", c % LATEST)];
    let change = |key: String| StateChange { key: key.into(), value: Some(Bytes::copy_from_slice(&c.to_le_bytes())) };
    Commit { requests, state: state.map(change).into() }
}

pub fn main(folder: &Path) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(write_all(folder));
}

/// What goes on beside the writing, if it is asked for.
fn archive_and_back_up(log: &Arc<JournalLog>) {
    if std::env::var("WRITER_ARCHIVE").is_ok() {
        let log = Arc::clone(log);
        tokio::spawn(async move {
            while let Ok(()) = log.archive().await {
                tokio::time::sleep(Duration::from_millis(3)).await;
            }
        });
    }
    if let Ok(to) = std::env::var("WRITER_BACKUP") {
        let log = Arc::clone(log);
        tokio::spawn(async move {
            loop {
                match log.back_up(to.clone().into(), Others::default(), Progress::default()).await {
                    Ok(report) => say(&format!("backup {}", report.end.position)),
                    Err(error) => say(&format!("error {error}")),
                }
            }
        });
    }
}

async fn write_all(folder: &Path) {
    if std::env::var("WRITER_REBUILD").is_ok() {
        drop(std::fs::remove_dir_all(folder.join("sled")));
    }
    let days = Arc::new(AtomicI64::new(number("WRITER_DAY").unwrap_or_default() as i64));
    let log = match JournalLog::open_with(folder, options(&days)) {
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
    let people = People::new(Arc::clone(&log));
    let erasing = tokio::spawn({
        let people = Arc::clone(&people);
        async move {
            people.clean().await;
            people.erase_all(number("WRITER_ERASE").unwrap_or_default() as usize).await;
        }
    });
    archive_and_back_up(&log);
    let again = std::env::var("WRITER_AGAIN").unwrap_or_default();
    for c in again.split(',').filter_map(|c| c.parse().ok()) {
        write(&log, c).await;
        people.remember(c).await;
    }
    // Held by those who write, so that none of them takes a day.
    let writing = Arc::new(RwLock::new(()));
    if std::env::var("WRITER_COMPACT").is_ok() {
        tokio::spawn(compact(Arc::clone(&log), days, Arc::clone(&writing)));
    }
    let next = Arc::new(AtomicU64::new(number("WRITER_NEXT").unwrap_or(1)));
    let last = number("WRITER_COMMITS").map_or(u64::MAX, |count| next.load(Ordering::Relaxed) + count);
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..number("WRITER_TASKS").unwrap_or(TASKS) {
        let (log, next, writing) = (Arc::clone(&log), Arc::clone(&next), Arc::clone(&writing));
        let people = Arc::clone(&people);
        tasks.spawn(async move {
            loop {
                let _writing = writing.read().await;
                let c = next.fetch_add(1, Ordering::Relaxed);
                if c >= last {
                    return;
                }
                write(&log, c).await;
                people.remember(c).await;
            }
        });
    }
    tasks.join_all().await;
    erasing.await.unwrap();
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

/// Drops old events, over and over.
async fn compact(log: Arc<JournalLog>, days: Arc<AtomicI64>, writing: Arc<RwLock<()>>) {
    let few = RetentionPolicy {
        id: "few".to_owned(),
        types: vec![DROPPED.to_owned()],
        max_count: Some(KEPT),
        ..RetentionPolicy::default()
    };
    if let Err(error) = set_policies(&*log, &[few]).await {
        return say(&format!("error {error}"));
    }
    for close_segment in [true, false].into_iter().cycle() {
        {
            let _nobody = writing.write().await;
            say(&format!("day {}", days.fetch_add(1, Ordering::SeqCst) + 1));
        }
        let read_model = Arc::clone(&log);
        let before_drop: BeforeDrop = Arc::new(move |_| {
            let log = Arc::clone(&read_model);
            Box::pin(async move { tally::take(&log).await })
        });
        let before_drop = Some(before_drop);
        let order = CompactOrder { actor: "test".into(), close_segment, before_drop, ..CompactOrder::default() };
        match log.compact(order).await {
            Ok(done) => say(&format!("dropped {}", done.events())),
            Err(error) => return say(&format!("error {}", error.full_text())),
        }
        tokio::time::sleep(Duration::from_millis(3)).await;
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
