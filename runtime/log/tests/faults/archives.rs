//! Closed segments as archives: they are read, rebuilt from and verified like segments, and damage is named.

use std::fs;

use tidewire_log::{EventLog, verify, verify_with};
use tidewire_model::event::EventId;
use tidewire_model::position::Position;

use crate::support::{append, archived, archiving, contents, flip_bit, open_with, request, segments};

/// A closed log of archives, plain segments and a last segment.
async fn closed_log(count: u64) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let log = open_with(folder.path(), archiving()).await;
    append(&log, 0..count / 2).await;
    log.close().await;
    // At the start the store takes in everything.
    let log = open_with(folder.path(), archiving()).await;
    log.archive().await.unwrap();
    log.close().await;
    let log = open_with(folder.path(), tidewire_log::JournalOptions { archive: false, ..archiving() }).await;
    append(&log, count / 2..count).await;
    log.close().await;
    assert!(archived(folder.path()).len() > 1 && segments(folder.path()).len() > 1);
    folder
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn archives_are_read_rebuilt_from_and_verified_like_segments() {
    let folder = tempfile::tempdir().unwrap();
    let log = open_with(folder.path(), archiving()).await;
    append(&log, 0..1000).await;
    log.set_checkpoint("mine".into(), Position::new(5)).await.unwrap();
    log.close().await;
    let log = open_with(folder.path(), archiving()).await;
    log.archive().await.unwrap();
    let before = archived(folder.path()).len();
    assert!(before > 2);
    append(&log, 1000..2000).await;
    log.close().await;
    let log = open_with(folder.path(), archiving()).await;
    log.archive().await.unwrap();
    assert!(archived(folder.path()).len() > before);
    assert_eq!(contents(&log).await, (0..2000).collect::<Vec<_>>());
    log.close().await;
    let verified = verify(folder.path()).unwrap();
    assert_eq!((verified.events, verified.head, verified.dropped, verified.problems), (2000, 2000, 0, vec![]));
    assert_eq!(verified.archives, archived(folder.path()).len() as u64);

    fs::remove_dir_all(folder.path().join("sled")).unwrap();
    let log = open_with(folder.path(), archiving()).await;
    assert_eq!(contents(&log).await, (0..2000).collect::<Vec<_>>());
    assert_eq!(log.checkpoint("mine".into()).await.unwrap(), Some(Position::new(5)));
    assert_eq!(log.event_by_id(EventId::from("event-77")).await.unwrap().unwrap().position.get(), 78);
    assert!(log.append(vec![request(100)]).await.unwrap()[0].deduplicated);
    append(&log, 2000..2100).await;
    assert_eq!(contents(&log).await, (0..2100).collect::<Vec<_>>());
    assert_eq!(log.health().read_only, None);
    log.close().await;
}

/// Small steps through a well-known sequence.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

/// Every bit counts, those of the zeroed rest of the last segment too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_thousand_flipped_bits_every_one_is_found() {
    let folder = closed_log(800).await;
    let last = segments(folder.path()).pop().unwrap();
    // Enough of the zeroed rest to hit it sometimes.
    let file = fs::OpenOptions::new().write(true).open(&last).unwrap();
    let used = fs::read(&last).unwrap().iter().rposition(|byte| *byte != 0).unwrap() as u64 + 1;
    file.set_len(used + 2000).unwrap();
    assert_eq!(verify(folder.path()).unwrap().problems, Vec::<String>::new());
    let files: Vec<_> = archived(folder.path()).into_iter().chain(segments(folder.path())).collect();
    let mut random = Random(7);
    let mut named = 0;
    for _ in 0..1000 {
        let path = &files[usize::try_from(random.below(files.len() as u64)).unwrap()];
        let at = random.below(fs::metadata(path).unwrap().len());
        let kept = fs::read(path).unwrap();
        flip_bit(path, at);
        match verify(folder.path()) {
            Ok(verified) => {
                assert!(!verified.problems.is_empty(), "{} at byte {at}", path.display());
                named += u64::from(verified.problems.iter().any(|problem| problem.contains("position")));
            }
            Err(error) => assert!(error.to_string().contains("damaged"), "{error}"),
        }
        fs::write(path, kept).unwrap();
    }
    assert!(named > 700, "only {named} of them with the positions they hit");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_bit_is_traced_to_its_event() {
    let folder = closed_log(800).await;
    let segment = segments(folder.path());
    for path in [&segment[0], segment.last().unwrap()] {
        let kept = fs::read(path).unwrap();
        // In the data of an event, in the midst of the file or near its end.
        let data = kept.windows(5).rposition(|window| window == br#"{"n":"#).unwrap();
        let n: u64 = std::str::from_utf8(&kept[data + 5..data + 8]).unwrap().parse().unwrap();
        flip_bit(path, data as u64 + 1);
        let problems = verify(folder.path()).unwrap().problems;
        let named = format!("position {} is damaged (stream thing-{}, id event-{n})", n + 1, n % 13);
        assert!(problems.len() == 1 && problems[0].contains(&named), "{problems:?}");
        assert_eq!(problems[0].contains("tail damage"), path == segment.last().unwrap(), "{problems:?}");
        fs::write(path, kept).unwrap();
    }

    // What is damaged at the tail is cut at the next start, kept, and named.
    let path = segment.last().unwrap();
    let kept = fs::read(path).unwrap();
    let data = kept.windows(5).rposition(|window| window == br#"{"n":"#).unwrap();
    flip_bit(path, data as u64 + 1);
    fs::remove_dir_all(folder.path().join("sled")).unwrap();
    let log = open_with(folder.path(), archiving()).await;
    let notices = log.health().notices;
    assert!(notices[0].contains("damaged at its tail (the event at position 800"), "{notices:?}");
    assert!(notices[0].contains("are kept in"), "{notices:?}");
    log.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn verifying_tells_how_far_it_is() {
    let folder = closed_log(800).await;
    let mut told = Vec::new();
    verify_with(folder.path(), &mut |done, total| told.push((done, total))).unwrap();
    assert!(told.len() >= archived(folder.path()).len() + segments(folder.path()).len());
    assert!(told.is_sorted() && told.last().is_some_and(|(done, total)| done == total));
}
