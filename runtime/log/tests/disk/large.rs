//! Large payloads, each a file of its own, on a disk that is slow, full or broken.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tidewire_log::consumers::{Consumers, GroupConfig, Settle};
use tidewire_log::{EventLog, JournalLog, JournalOptions};
use tidewire_model::append::{AppendError, AppendRequest};
use tidewire_model::event::{BINARY, NewEvent, StreamName};
use tidewire_model::query::{Filter, Start};

use crate::calls::{EIO, ENOSPC, every_call};
use crate::life::{Ending, History, Life};
use crate::report::report;
use crate::shim::Disk;
use crate::space::survives_a_full_disk;
use crate::writer::say;

/// How long a sync takes, in milliseconds.
const DELAY: u64 = 20;
/// How many payloads one commit has.
const MANY: u64 = 40;
/// How many write large payloads while somebody else writes small ones.
const OTHERS: u64 = 4;
const SMALL: u64 = 40;

fn payload(n: u64) -> NewEvent {
    NewEvent::new("stored", BINARY, n.to_le_bytes().repeat(2_500))
}

async fn append(log: &JournalLog, stream: &str, events: Vec<NewEvent>) -> Result<(), AppendError> {
    let requests = events.into_iter().map(|event| AppendRequest::one(StreamName::new(stream).unwrap(), event));
    log.append(requests.collect()).await.map(drop)
}

/// The process: one commit with many payloads, then small events beside others with large ones.
pub fn main(folder: &Path) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(measure(folder));
}

async fn measure(folder: &Path) {
    let log = JournalLog::open_with(folder, JournalOptions::default()).unwrap();
    log.ready().await.unwrap();
    say("open");
    let took = |what: &str, since: Instant| say(&format!("took {what} {}", since.elapsed().as_millis()));
    let began = Instant::now();
    append(&log, "file-1", vec![payload(0)]).await.unwrap();
    took("one", began);
    let began = Instant::now();
    append(&log, "file-1", (1..=MANY).map(payload).collect()).await.unwrap();
    took("many", began);
    let going = Arc::new(AtomicBool::new(true));
    for other in 1..=OTHERS {
        let (log, going) = (log.clone(), Arc::clone(&going));
        tokio::spawn(async move {
            let mut n = other << 32;
            // The last one may find the log closed.
            while going.load(Ordering::Relaxed) && append(&log, "file-2", vec![payload(n)]).await.is_ok() {
                n += 1;
            }
        });
    }
    let small = async {
        for n in 0..SMALL {
            let began = Instant::now();
            append(&log, "thing-1", vec![NewEvent::json("read", &serde_json::json!({"n": n}))]).await.unwrap();
            took("small", began);
        }
    };
    small.await;
    going.store(false, Ordering::Relaxed);
    statuses(&log).await;
    log.close().await;
    say("done");
}

/// Asks how a group of consumers is while one of its members works, which takes a sync each time.
async fn statuses(log: &JournalLog) {
    let compile = Arc::new(|text: &str| Err(text.to_owned()));
    let consumers = Arc::new(Consumers::new(Arc::new(log.clone()), compile, Arc::new(|| 0)));
    let config = GroupConfig { filter: Filter::stream("thing-1"), ..GroupConfig::default() };
    consumers.set("group", config, Start::Beginning).await.unwrap();
    let member = {
        let consumers = Arc::clone(&consumers);
        tokio::spawn(async move {
            while let Some(one) = consumers.fetch("group", "a", 1, Duration::ZERO).await.unwrap().pop() {
                let answers = vec![(one.event.position, Settle::Ack)];
                assert_eq!(consumers.settle("group", "a", answers).await.unwrap(), [true]);
            }
        })
    };
    while !member.is_finished() {
        let began = Instant::now();
        consumers.status("group").await.unwrap();
        say(&format!("took status {}", began.elapsed().as_millis()));
        tokio::time::sleep(Duration::from_millis(7)).await;
    }
    member.await.unwrap();
    assert_eq!(consumers.status("group").await.unwrap().acknowledged, SMALL);
}

#[test]
fn payloads_are_written_side_by_side_and_hold_up_nobody() {
    let (disk, mut history) = (Disk::new(), History::default());
    Life { ending: Ending::ByItself, delay: DELAY, measure: true, ..Life::default() }.live(&disk, &mut history);
    let times = |what: &str| -> Vec<u64> {
        let mut times: Vec<_> = history.took.iter().filter(|(name, _)| name == what).map(|(_, ms)| *ms).collect();
        times.sort_unstable();
        times
    };
    let (one, many, small) = (times("one")[0], times("many")[0], times("small"));
    let median = small[small.len() / 2];
    // One after the other they would take two syncs each.
    assert!(many < MANY * DELAY, "{MANY} payloads took {many} ms, one {one} ms");
    // A large one takes three syncs before it is confirmed, behind which a small one does not wait.
    assert!(median < 4 * DELAY, "small events took {median} ms beside large ones");
    let done =
        format!("one commit of {MANY} payloads of 20 KB, then small events beside {OTHERS} who write such payloads");
    let result = format!("{many} ms for {MANY} (one: {one} ms); half of the small ones within {median} ms");
    report("large payloads, slow fsync", &format!("{DELAY} ms each: {done}"), &result);
}

/// Every third call that has to do with large payloads fails in turn: that append is refused with the reason, the next ones
/// are not, and nothing is left of it once the log was swept.
#[test]
fn a_failed_payload_is_an_error_and_leaves_nothing() {
    let life = || Life { large: true, ..Life::default() };
    let full = every_call("wtn", ENOSPC, (43, 3), &life());
    let broken = every_call("wtns", EIO, (47, 3), &life());
    let done = format!("no space at each of {full} calls, an I/O error at each of {broken}");
    report("large payloads, failed calls", &done, "a clear error, the next ones pass, 0 lost, 0 orphans after a sweep");
}

#[test]
fn a_disk_that_is_full_of_payloads_recovers() {
    let disk = Disk::new();
    let full = disk.full();
    let life = Life { large: true, ..Life::default() };
    let recovered =
        survives_a_full_disk(&disk, &life, || fs::write(&full, "").unwrap(), || fs::remove_file(&full).unwrap());
    let done =
        format!("goes on by itself, 50 commits {} ms after there is room, 0 lost, 0 orphans", recovered.as_millis());
    report("large payloads, disk full", "every write is refused for a while", &done);
}
