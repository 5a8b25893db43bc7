//! Snapshots on disk and in memory.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use super::*;
use crate::backup::{At, Progress, restore, verify_backup};
use crate::{EventLog, JournalLog, MemoryLog, set_personal, verify};

const NAME: &str = "sums";

async fn make(log: &dyn EventLog, definition: &str, position: u64, values: u32) -> SnapshotInfo {
    let mut writer = log.snapshots().begin(NAME, definition, Position::new(position)).unwrap();
    for n in 0..values {
        writer.put(&format!("k/{n:06}"), format!("value of a person {n}").as_bytes()).unwrap();
    }
    keep(log, writer).await.unwrap()
}

fn read(log: &dyn EventLog, info: &SnapshotInfo) -> Result<Vec<(String, Bytes)>, LogError> {
    let mut found = Vec::new();
    log.snapshots().read(info, &mut |key, value| {
        found.push((key.to_owned(), value));
        Ok(())
    })?;
    Ok(found)
}

fn files(log: &Path) -> usize {
    files_in(&log.join(FOLDER)).unwrap().len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_kept_is_read_and_a_newer_one_takes_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let journal: Arc<dyn EventLog> = Arc::new(JournalLog::open(folder.path()).unwrap());
    for log in [journal, Arc::new(MemoryLog::new())] {
        let first = make(&*log, "a", 3, 20_000).await;
        let found = read(&*log, &first).unwrap();
        assert_eq!(
            (found.len(), &found[7].0, &found[7].1[..]),
            (20_000, &"k/000007".into(), &b"value of a person 7"[..])
        );
        let second = make(&*log, "a", 5, 0).await;
        assert_eq!(list(&*log, Some(NAME)).await.unwrap().iter().collect::<Vec<_>>(), [&second]);
        assert!(read(&*log, &first).unwrap_err().to_string().contains("is missing"));
        // Whoever goes back to an earlier definition finds its snapshot, unless that is long ago.
        for definition in ["b", "c"] {
            make(&*log, definition, 6, 1).await;
        }
        assert!(list(&*log, None).await.unwrap().contains(&second));
        make(&*log, "d", 7, 1).await;
        assert!(!list(&*log, None).await.unwrap().contains(&second));
        // One that is given up leaves nothing behind.
        drop(log.snapshots().begin(NAME, "e", Position::new(9)).unwrap());
        assert_eq!(list(&*log, None).await.unwrap().len(), 3);
    }
    assert_eq!(files(folder.path()), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damage_and_loss_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let log = JournalLog::open(folder.path()).unwrap();
    let info = make(&log, "a", 3, 100).await;
    log.close().await;
    assert_eq!(verify(folder.path()).unwrap().problems, [] as [String; 0]);
    let path = folder.path().join(FOLDER).join(&info.file);
    let whole = fs::read(&path).unwrap();
    for byte in (0..whole.len()).step_by(7) {
        let mut bytes = whole.clone();
        bytes[byte] ^= 0x10;
        fs::write(&path, bytes).unwrap();
        let problems = verify(folder.path()).unwrap().problems;
        assert!(problems.len() == 1 && problems[0].contains("'sums' at position 3"), "{problems:?}");
    }
    fs::remove_file(&path).unwrap();
    assert_eq!(verify(folder.path()).unwrap().problems.len(), 1);
    let log = JournalLog::open(folder.path()).unwrap();
    let known = list(&log, Some(NAME)).await.unwrap();
    assert!(read(&log, &known[0]).unwrap_err().to_string().contains("is missing"));
    assert!(log.health().notices.iter().any(|notice| notice.contains("'sums'") && notice.contains("is missing")));
    make(&log, "a", 4, 1).await;
    assert_eq!(log.health().notices, [] as [String; 0], "a newer one stands for it");
    log.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_has_them_and_a_restored_log_knows_those_of_then() {
    let (folder, backup, restored) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let log = JournalLog::open(folder.path()).unwrap();
    log.ready().await.unwrap();
    let info = make(&log, "a", 3, 100).await;
    log.back_up(backup.path().to_owned(), crate::backup::Others::default(), Progress::default()).await.unwrap();
    make(&log, "a", 4, 100).await;
    log.close().await;
    assert_eq!(verify_backup(backup.path(), &Progress::default()).unwrap().problems, [] as [String; 0]);
    restore(backup.path(), restored.path(), At::End, &Progress::default()).unwrap();
    let log = JournalLog::open(restored.path().join("log")).unwrap();
    let known = list(&log, Some(NAME)).await.unwrap();
    assert_eq!(known, [info]);
    assert_eq!(read(&log, &known[0]).unwrap().len(), 100);
    log.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_crash_left_goes_and_what_a_backup_needs_stays() {
    let folder = tempfile::tempdir().unwrap();
    let log = JournalLog::open(folder.path()).unwrap();
    let first = make(&log, "a", 3, 10).await;
    for name in ["00000000000000000004-00-x.snapshot", "00000000000000000004-00-y.snapshot.tmp"] {
        fs::write(folder.path().join(FOLDER).join(name), "not taken down").unwrap();
    }
    assert_eq!(list(&log, None).await.unwrap().len(), 1, "what the log does not know of does not count");
    let snapshots = log.snapshots();
    let backing_up = Arc::clone(&snapshots);
    let (go_on, wait) = std::sync::mpsc::channel::<()>();
    let (held, is_held) = std::sync::mpsc::channel();
    let backup = std::thread::spawn(move || {
        let _stay = backing_up.stay();
        held.send(()).unwrap();
        wait.recv().unwrap();
    });
    is_held.recv().unwrap();
    make(&log, "a", 5, 10).await;
    assert_eq!(files(folder.path()), 4);
    assert!(snapshots.check(&first).is_ok());
    go_on.send(()).unwrap();
    backup.join().unwrap();
    make(&log, "a", 6, 10).await;
    assert_eq!(files(folder.path()), 1);
    log.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_erased_cannot_be_read_from_a_copy_either() {
    let folder = tempfile::tempdir().unwrap();
    let log = JournalLog::open(folder.path()).unwrap();
    set_personal(&log, vec!["person-*".into()], "user:test").await.unwrap();
    let info = make(&log, "a", 3, 100).await;
    assert_eq!(read(&log, &info).unwrap().len(), 100);
    let path = folder.path().join(FOLDER).join(&info.file);
    let copy = fs::read(&path).unwrap();
    assert!(!String::from_utf8_lossy(&copy).contains("person"));
    erase(&log, NAME).await.unwrap();
    assert_eq!((files(folder.path()), list(&log, None).await.unwrap().len()), (0, 0));
    fs::write(&path, copy).unwrap();
    assert!(read(&log, &info).unwrap_err().to_string().contains("was erased"));
    let again = make(&log, "a", 4, 10).await;
    assert_ne!(again.key_id, info.key_id);
    erase(&log, NAME).await.unwrap();
    erase(&log, NAME).await.unwrap();
    log.close().await;
}
