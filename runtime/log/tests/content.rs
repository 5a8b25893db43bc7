//! What the log on disk does with large payloads: files by content, damage that is told, and what nobody refers to.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tidewire_log::{EventLog, JournalLog, JournalOptions, content, verify};
use tidewire_model::append::AppendRequest;
use tidewire_model::event::{BINARY, Body, NewEvent, Raw, StreamName};
use tidewire_model::query::{Filter, Query};

fn options() -> JournalOptions {
    JournalOptions { keep_events: 0, ..JournalOptions::default() }
}

async fn open(folder: &Path) -> JournalLog {
    let log = JournalLog::open_with(folder, options()).unwrap();
    log.ready().await.unwrap();
    log
}

fn payload(n: u8) -> Vec<u8> {
    vec![n; 20_000]
}

async fn put(log: &JournalLog, n: u8) {
    let raw = Raw { topic: "a".into(), retain: false, qos: 0, payload: payload(n).into() };
    let event = NewEvent { raw: Some(raw), ..NewEvent::new("stored", BINARY, payload(n)) };
    log.append(vec![AppendRequest::one(StreamName::new("file-1").unwrap(), event)]).await.unwrap();
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let inner = |path: PathBuf| fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = match fs::read_dir(folder.join("content")) {
        Ok(entries) => entries.flat_map(|entry| inner(entry.unwrap().path())).collect(),
        Err(_) => Vec::new(),
    };
    files.sort();
    files
}

async fn all(log: &JournalLog) -> Vec<Arc<tidewire_model::event::Event>> {
    log.read(Query::forwards(Filter::default(), Default::default(), 1000)).await.unwrap().events
}

#[tokio::test]
async fn the_same_content_is_stored_once_and_survives_restart_and_rebuild() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path()).await;
    for n in [1, 2, 1] {
        put(&log, n).await;
    }
    assert_eq!(files(folder.path()).len(), 2, "data and raw payload are the same here");
    log.close().await;
    let journal = fs::read_dir(folder.path().join("journal")).unwrap().map(|entry| fs::read(entry.unwrap().path()));
    assert!(journal.map(Result::unwrap).all(|bytes| !bytes.windows(300).any(|part| part == [1; 300])));
    for rebuild in [false, true] {
        if rebuild {
            fs::remove_dir_all(folder.path().join("sled")).unwrap();
        }
        let log = open(folder.path()).await;
        let data: Vec<_> = all(&log).await.iter().map(|event| event.data[0]).collect();
        assert_eq!(data, [1, 2, 1]);
        log.close().await;
    }
}

#[tokio::test]
async fn a_missing_or_damaged_file_is_told_and_the_rest_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path()).await;
    for n in 1..=4 {
        put(&log, n).await;
    }
    log.close().await;
    let hash = |n: u8| tidewire_model::event::ContentRef::of(&payload(n));
    fs::remove_file(folder.path().join(content::relative_path(hash(2)))).unwrap();
    fs::write(folder.path().join(content::relative_path(hash(3))), payload(9)).unwrap();
    assert!(content::check(folder.path(), hash(1)).is_none());
    assert!(content::check(folder.path(), hash(2)).unwrap().contains("missing"));
    assert!(content::check(folder.path(), hash(3)).unwrap().contains("damaged"));
    let problems = verify(folder.path()).unwrap().problems;
    assert_eq!(problems.len(), 2, "{problems:?}");
    assert!(problems[0].contains("at position 2") && problems[0].contains("missing"), "{problems:?}");
    let log = open(folder.path()).await;
    let events = all(&log).await;
    assert_eq!(events.len(), 4);
    for (event, part) in [(&events[1], "is missing"), (&events[2], "is damaged")] {
        let Body::Unreadable(reason) = &event.body else { panic!("{event:?}") };
        let named = reason.contains(&event.id.to_string()) && reason.contains(&event.position.to_string());
        assert!(named && reason.contains(part), "{reason}");
        assert_eq!((event.event_type.as_str(), event.data.len()), ("stored", 0), "the envelope is readable");
    }
    assert_eq!((events[0].data[0], events[3].data[0]), (1, 4));
    log.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_crash_left_behind_is_collected_and_nothing_that_is_appended_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path()).await;
    put(&log, 1).await;
    // As a crash between the file and the commit leaves it.
    let orphan = folder.path().join(content::relative_path(tidewire_model::event::ContentRef::of(&payload(99))));
    fs::create_dir_all(orphan.parent().unwrap()).unwrap();
    fs::write(&orphan, payload(99)).unwrap();
    fs::write(orphan.with_extension("3.tmp"), "half").unwrap();
    let going = Arc::new(AtomicBool::new(true));
    let appending = tokio::spawn({
        let (log, going) = (log.clone(), Arc::clone(&going));
        async move {
            let mut n = 1;
            while going.load(Ordering::Relaxed) && n < 90 {
                n += 1;
                put(&log, n).await;
            }
            n
        }
    });
    let mut removed = 0;
    for _ in 0..20 {
        removed += log.sweep_content().await.unwrap().files;
    }
    going.store(false, Ordering::Relaxed);
    let last = appending.await.unwrap();
    assert_eq!(removed, 2);
    assert!(!orphan.exists());
    log.close().await;
    let log = open(folder.path()).await;
    let data: Vec<_> = all(&log).await.iter().map(|event| event.data.first().copied()).collect();
    assert_eq!(data, (1..=last).map(Some).collect::<Vec<_>>());
    // Content that is collected can come again.
    put(&log, 99).await;
    assert_eq!(all(&log).await.last().unwrap().data, payload(99));
    log.close().await;
}
