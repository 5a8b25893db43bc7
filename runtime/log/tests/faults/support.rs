//! Making, reading and damaging logs.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use tidewire_log::{EventLog, JournalLog, JournalOptions};
use tidewire_model::append::AppendRequest;
use tidewire_model::event::{NewEvent, StreamName};
use tidewire_model::query::{Filter, Start};

pub fn request(n: u64) -> AppendRequest {
    let event =
        NewEvent::json(["read", "moved", "opened"][usize::try_from(n % 3).unwrap()], &serde_json::json!({"n": n}))
            .with_id(format!("event-{n}"));
    AppendRequest::one(StreamName::new(format!("thing-{}", n % 13)).unwrap(), event)
}

pub async fn open(folder: &Path) -> JournalLog {
    open_with(folder, JournalOptions::default()).await
}

pub async fn open_with(folder: &Path, options: JournalOptions) -> JournalLog {
    let log = JournalLog::open_with(folder, options).unwrap();
    log.ready().await.unwrap();
    log
}

pub fn small() -> JournalOptions {
    JournalOptions { segment_bytes: 64 * 1024, keep_events: 0, archive: false, ..JournalOptions::default() }
}

/// Small segments that become archives.
pub fn archiving() -> JournalOptions {
    JournalOptions { segment_bytes: 16 * 1024, archive: true, ..small() }
}

pub fn archived(folder: &Path) -> Vec<PathBuf> {
    with_extension(folder, "archive")
}

pub async fn append(log: &JournalLog, range: std::ops::Range<u64>) {
    let numbers: Vec<u64> = range.collect();
    for numbers in numbers.chunks(100) {
        for result in log.append_each(numbers.iter().map(|n| request(*n)).collect()).await {
            result.unwrap();
        }
    }
}

/// The `n` of every event, in order of position; checks that positions have no gap.
pub async fn contents(log: &JournalLog) -> Vec<u64> {
    let mut subscription = log.subscribe(Filter::default(), Start::Beginning).await.unwrap();
    let mut found = Vec::new();
    loop {
        let delivery = subscription.next_batch(5000).await.unwrap();
        for event in &delivery.events {
            assert_eq!(event.position.get(), found.len() as u64 + 1);
            found.push(event.data_json().unwrap()["n"].as_u64().unwrap());
        }
        if delivery.caught_up {
            assert_eq!(log.head().get(), found.len() as u64);
            return found;
        }
    }
}

pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()));
        } else {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

pub fn segments(folder: &Path) -> Vec<PathBuf> {
    with_extension(folder, "journal")
}

fn with_extension(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.join("journal")).unwrap().map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> = entries.filter(|path| path.extension().is_some_and(|end| end == extension)).collect();
    paths.sort();
    paths
}

pub fn flip_bit(path: &Path, at: u64) {
    let file = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).unwrap();
    file.write_all_at(&[byte[0] ^ 4], at).unwrap();
}

pub fn no_blobs(folder: &Path) {
    let blobs = fs::read_dir(folder.join("sled/blobs")).map_or(0, Iterator::count);
    assert_eq!(blobs, 0, "the store must not make blob files, which are never synced");
}
