//! Backups: consistent while the log works, only what is new each time, refused when damaged, restored as of any point.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, unreachable_pub)]

#[path = "faults/support.rs"]
#[allow(dead_code, reason = "every test uses a part of it")]
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tidewire_log::backup::{
    At, BackupError, LeftOut, Others, Progress, Report, back_up_folder, restore, verify_backup,
};
use tidewire_log::{EventLog, JournalLog};
use tidewire_model::append::AppendRequest;
use tidewire_model::event::{NewEvent, StreamName};
use tidewire_model::position::Position;

use support::{append, contents, flip_bit, open_with, request, small};

async fn back_up(log: &JournalLog, to: &Path) -> Report {
    log.back_up(to.to_owned(), Others::default(), Progress::default()).await.unwrap()
}

/// What a restored log holds.
async fn restored(backup: &Path, at: At) -> Vec<u64> {
    let folder = tempfile::tempdir().unwrap();
    restore(backup, folder.path(), at, &Progress::default()).unwrap();
    let log = open_with(&folder.path().join("log"), small()).await;
    assert_eq!(log.health().read_only, None);
    let found = contents(&log).await;
    // It goes on from there.
    append(&log, 1_000_000..1_000_010).await;
    log.close().await;
    assert_eq!(tidewire_log::verify(&folder.path().join("log")).unwrap().problems, Vec::<String>::new());
    found
}

/// A log of so many events, and a backup of it.
async fn backed_up(events: u64) -> (tempfile::TempDir, JournalLog, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let log = open_with(&folder.path().join("log"), small()).await;
    append(&log, 0..events).await;
    let to = folder.path().join("backup");
    let report = back_up(&log, &to).await;
    assert_eq!((report.end.position.get(), report.problems), (events, vec![]));
    (folder, log, to)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_while_events_come_is_a_prefix_with_all_that_was_confirmed() {
    let (folder, log, to) = backed_up(500).await;
    let (next, stop) = (Arc::new(AtomicU64::new(500)), Arc::new(AtomicU64::new(0)));
    let writer = {
        let (log, next, stop) = (log.clone(), Arc::clone(&next), Arc::clone(&stop));
        tokio::spawn(async move {
            while stop.load(Ordering::Relaxed) == 0 {
                let n = next.load(Ordering::Relaxed);
                append(&log, n..n + 40).await;
                next.store(n + 40, Ordering::Relaxed);
            }
        })
    };
    for _ in 0..5 {
        let confirmed = next.load(Ordering::Relaxed);
        let report = back_up(&log, &to).await;
        assert!(report.end.position.get() >= confirmed);
        let checked = verify_backup(&to, &Progress::default()).unwrap();
        assert_eq!((checked.end, checked.problems), (report.end, vec![]));
        let found = restored(&to, At::End).await;
        assert_eq!(found, (0..report.end.position.get()).collect::<Vec<_>>());
    }
    // Segments become archives meanwhile.
    let archiving = {
        let (log, stop) = (log.clone(), Arc::clone(&stop));
        tokio::spawn(async move {
            while stop.load(Ordering::Relaxed) == 0 {
                log.archive().await.unwrap();
                tokio::task::yield_now().await;
            }
        })
    };
    for _ in 0..5 {
        let confirmed = next.load(Ordering::Relaxed);
        let report = back_up(&log, &to).await;
        let found = restored(&to, At::End).await;
        assert!(found.len() as u64 >= confirmed);
        assert_eq!(found, (0..report.end.position.get()).collect::<Vec<_>>());
    }
    stop.store(1, Ordering::Relaxed);
    archiving.await.unwrap();
    assert!(
        fs::read_dir(to.join("log/journal"))
            .unwrap()
            .any(|file| { file.unwrap().path().extension().is_some_and(|end| end == "archive") })
    );
    writer.await.unwrap();
    log.close().await;
    drop(folder);
}

#[tokio::test]
async fn a_second_backup_copies_only_what_is_new() {
    let (_folder, log, to) = backed_up(3000).await;
    let first = back_up(&log, &to).await;
    // Nothing but the end of the journal.
    assert_eq!(first.copied_files, 1);
    append(&log, 3000..3100).await;
    let large = NewEvent::json("large", &serde_json::json!({"n": 3100, "text": "x".repeat(9000)}));
    log.append(vec![AppendRequest::one(StreamName::new("thing-1").unwrap(), large)]).await.unwrap();
    let second = back_up(&log, &to).await;
    assert!(second.copied_bytes * 3 < second.bytes, "{second:?}");
    assert_eq!(second.end.position.get(), 3101);
    assert_eq!(verify_backup(&to, &Progress::default()).unwrap().problems, Vec::<String>::new());
    log.close().await;
    assert_eq!(restored(&to, At::End).await.len(), 3101);
}

#[tokio::test]
async fn a_log_that_nobody_uses_is_backed_up_as_a_folder() {
    let (folder, log, to) = backed_up(100).await;
    let busy = back_up_folder(&folder.path().join("log"), &to, Others::default(), &Progress::default()).unwrap_err();
    assert!(busy.to_string().contains("in use"), "{busy}");
    append(&log, 100..250).await;
    log.close().await;
    let other = folder.path().join("users.json");
    fs::write(&other, "[]").unwrap();
    let files = vec![("auth/users.json".to_owned(), other), ("auth/none.json".to_owned(), "/nowhere".into())];
    let left_out = vec![LeftOut { what: "keys/".to_owned(), why: "they lie apart".to_owned() }];
    let others = Others { files, left_out: left_out.clone() };
    let report = back_up_folder(&folder.path().join("log"), &to, others, &Progress::default()).unwrap();
    assert_eq!(report.end.position.get(), 250);
    assert_eq!(verify_backup(&to, &Progress::default()).unwrap().left_out, left_out);
    let target = folder.path().join("restored");
    restore(&to, &target, At::End, &Progress::default()).unwrap();
    assert_eq!(fs::read_to_string(target.join("auth/users.json")).unwrap(), "[]");
    assert!(!target.join("log/sled").exists());
    assert_eq!(restored(&to, At::End).await.len(), 250);
}

#[tokio::test]
async fn a_damaged_backup_is_refused_by_the_name_of_the_file() {
    let (folder, log, to) = backed_up(2000).await;
    log.close().await;
    let target = folder.path().join("restored");
    let mut files: Vec<PathBuf> =
        fs::read_dir(to.join("log/journal")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() > 2);
    for file in [&files[0], files.last().unwrap()] {
        flip_bit(file, 700);
        let error = restore(&to, &target, At::End, &Progress::default()).unwrap_err().to_string();
        let name = file.file_name().unwrap().to_str().unwrap();
        assert!(error.contains(name) && error.contains("use another one"), "{error}");
        let problems = verify_backup(&to, &Progress::default()).unwrap().problems;
        assert!(problems.len() == 1 && problems[0].contains(name), "{problems:?}");
        assert!(!target.exists());
        flip_bit(file, 700);
    }
    fs::remove_file(&files[1]).unwrap();
    assert!(matches!(restore(&to, &target, At::End, &Progress::default()), Err(BackupError::Damaged(_))));
    flip_bit(&to.join("manifest.json"), 20);
    assert!(matches!(verify_backup(&to, &Progress::default()), Err(BackupError::Damaged(_))));
    fs::remove_file(to.join("manifest.json")).unwrap();
    let error = restore(&to, &target, At::End, &Progress::default()).unwrap_err();
    assert!(matches!(error, BackupError::Incomplete { .. }), "{error}");
    // Another backup into the same folder mends it.
    let log = open_with(&folder.path().join("log"), small()).await;
    back_up(&log, &to).await;
    log.close().await;
    assert_eq!(restored(&to, At::End).await.len(), 2000);
}

#[tokio::test]
async fn a_log_is_restored_as_of_a_position_or_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(std::sync::atomic::AtomicI64::new(1_000));
    let options = {
        let clock = Arc::clone(&clock);
        tidewire_log::JournalOptions { clock: Arc::new(move || clock.load(Ordering::Relaxed)), ..small() }
    };
    let log = open_with(&folder.path().join("log"), options).await;
    for n in 0..1000 {
        clock.store(1_000 + i64::try_from(n).unwrap() / 2, Ordering::Relaxed);
        // Every third commit has two events.
        let requests = (0..1 + u64::from(n % 3 == 0)).map(|i| request(n * 2 + i)).collect();
        log.append(requests).await.unwrap();
    }
    let head = log.head().get();
    let all = contents(&log).await;
    let to = folder.path().join("backup");
    back_up(&log, &to).await;
    log.archive().await.unwrap();
    let archived = folder.path().join("backup of archives");
    back_up(&log, &archived).await;
    assert_eq!(restored(&archived, At::Position(Position::new(332))).await, all[..332]);
    let mut in_commit = None;
    for position in [2, 3, 4, 333, 700, 701, head, head + 10] {
        let found = restored(&to, At::Position(Position::new(position))).await;
        let kept = found.len() as u64;
        assert!(kept == position.min(head) || kept + 1 == position, "{kept} of {position}");
        in_commit = in_commit.or((kept + 1 == position).then_some(position));
        assert_eq!(found, all[..found.len()]);
    }
    assert!(in_commit.is_some(), "a commit is kept whole or not at all");
    let time = 1_000 + 200;
    let kept = restored(&to, At::Time(time)).await.len() as u64;
    let at = |position| log.event_at(Position::new(position));
    assert!(at(kept).await.unwrap().unwrap().recorded_time <= time);
    assert!(at(kept + 1).await.unwrap().unwrap().recorded_time > time);
    let target = folder.path().join("restored");
    let early = restore(&to, &target, At::Time(5), &Progress::default()).unwrap_err();
    assert!(matches!(early, BackupError::At(_)) && !target.exists(), "{early}");
    log.close().await;
}

#[tokio::test]
async fn other_folders_are_left_alone() {
    let (folder, log, to) = backed_up(50).await;
    let other = folder.path().join("other");
    fs::create_dir(&other).unwrap();
    fs::write(other.join("letter.txt"), "mine").unwrap();
    let error = log.back_up(other.clone(), Others::default(), Progress::default()).await.unwrap_err();
    assert!(matches!(error, BackupError::NotEmpty { .. }), "{error}");
    assert!(matches!(restore(&to, &other, At::End, &Progress::default()), Err(BackupError::NotEmpty { .. })));
    let (_second, second_log, second) = backed_up(10).await;
    let error = log.back_up(second.clone(), Others::default(), Progress::default()).await.unwrap_err();
    assert!(matches!(error, BackupError::OtherLog { .. }), "{error}");
    assert_eq!(restored(&second, At::End).await.len(), 10);
    log.close().await;
    second_log.close().await;
}

#[tokio::test]
async fn a_cancelled_backup_leaves_what_was_there() {
    let (folder, log, to) = backed_up(50).await;
    append(&log, 50..80).await;
    let cancelled = Progress::default();
    cancelled.cancel();
    let error = log.back_up(to.clone(), Others::default(), cancelled.clone()).await.unwrap_err();
    assert!(matches!(error, BackupError::Cancelled), "{error}");
    assert_eq!(restored(&to, At::End).await.len(), 50);
    let new = folder.path().join("new");
    drop(log.back_up(new.clone(), Others::default(), cancelled.clone()).await.unwrap_err());
    assert!(!new.exists());
    let error = restore(&to, &new, At::End, &cancelled).unwrap_err();
    assert!(matches!(error, BackupError::Cancelled) && !new.exists(), "{error}");
    log.close().await;
}
