//! What the log on disk survives: restarts, torn ends, damage, a lost or damaged store, a second opener.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, unreachable_pub)]

#[path = "faults/archives.rs"]
mod archives;
#[path = "faults/support.rs"]
mod support;

use std::fs;
use std::os::unix::fs::FileExt;

use bytes::Bytes;
use tidewire_log::{Commit, EventLog, JournalLog, JournalOptions, LogError, StreamList, verify};
use tidewire_model::append::{AppendError, StateChange};
use tidewire_model::event::EventId;
use tidewire_model::position::Position;
use tidewire_model::query::{Direction, Filter, Query};

use support::{append, contents, copy, flip_bit, no_blobs, open, open_with, request, segments, small};

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path()).await;
    append(&log, 0..250).await;
    log.set_checkpoint("mine".into(), Position::new(17)).await.unwrap();
    let value = Bytes::from(vec![7; 20_000]);
    let state = vec![StateChange { key: "context/large".into(), value: Some(value.clone()) }];
    log.commit(Commit { requests: vec![], state }).await.unwrap();
    let projections = log.projections();
    projections.commit("latest", "v1", vec![("a".into(), Some(value.clone()))], Position::new(250)).unwrap();
    let streams = log.streams(StreamList::default()).await.unwrap();
    log.close().await;
    assert!(matches!(log.append(vec![request(0)]).await, Err(AppendError::Closed)));

    let log = open(folder.path()).await;
    assert_eq!(contents(&log).await, (0..250).collect::<Vec<_>>());
    assert_eq!(log.streams(StreamList::default()).await.unwrap(), streams);
    assert_eq!(log.checkpoint("mine".into()).await.unwrap(), Some(Position::new(17)));
    assert_eq!(log.state("context/large".into()).await.unwrap(), Some(value.clone()));
    assert_eq!(log.projections().get("latest", "a").unwrap(), Some(value));
    assert!(log.append(vec![request(100)]).await.unwrap()[0].deduplicated, "ids are remembered");
    append(&log, 250..300).await;
    assert_eq!(contents(&log).await, (0..300).collect::<Vec<_>>());
    let health = log.health();
    assert_eq!((health.read_only, health.notices), (None, vec![]));
    log.close().await;
    no_blobs(folder.path());
}

#[tokio::test]
async fn a_second_opener_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path()).await;
    let error = JournalLog::open(folder.path()).err().unwrap();
    assert!(matches!(error, LogError::Locked { .. }));
    assert!(error.to_string().contains("in use by another process"));
    log.close().await;
    open(folder.path()).await.close().await;
}

#[tokio::test]
async fn a_folder_of_an_earlier_version_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path()).await;
    append(&log, 0..10).await;
    log.close().await;
    let segment = &segments(folder.path())[0];
    let mut bytes = fs::read(segment).unwrap();
    bytes[6] = 1;
    fs::write(segment, &bytes).unwrap();
    let damaged = verify(folder.path()).unwrap_err();
    assert!(damaged.to_string().contains("is damaged"), "the checksum is that of our format: {damaged}");
    let checksum = crc32c::crc32c(&bytes[..124]).to_le_bytes();
    bytes[124..128].copy_from_slice(&checksum);
    fs::write(segment, &bytes).unwrap();
    let error = JournalLog::open(folder.path()).err().unwrap();
    assert!(matches!(error, LogError::Format { format: 1, .. }), "{error}");
    assert!(error.to_string().contains("another data folder"), "{error}");
    assert!(verify(folder.path()).is_err());
    assert_eq!(fs::read(segment).unwrap(), bytes);
}

#[tokio::test]
async fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("file"), "").unwrap();
    let error = JournalLog::open(folder.path().join("file")).err().unwrap();
    assert!(error.full_text().contains("file"), "{}", error.full_text());
}

#[tokio::test]
async fn a_torn_end_is_cut_reported_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path()).await;
    append(&log, 0..10).await;
    log.close().await;
    let segment = segments(folder.path()).pop().unwrap();
    let bytes = fs::read(&segment).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap() as u64 + 1;
    for (garbage, at) in [(&[1_u8, 2, 3][..], end), (&[0, 0, 0, 9], end), (b"TWRC", end + 100)] {
        let file = fs::OpenOptions::new().write(true).open(&segment).unwrap();
        file.write_all_at(garbage, at).unwrap();
        let log = open(folder.path()).await;
        assert_eq!(contents(&log).await, (0..10).collect::<Vec<_>>());
        let notices = log.health().notices;
        assert!(notices.len() == 1 && notices[0].contains("torn"), "{notices:?}");
        log.close().await;
    }
    let log = open(folder.path()).await;
    append(&log, 10..20).await;
    log.close().await;
    assert_eq!(contents(&open(folder.path()).await).await, (0..20).collect::<Vec<_>>());
}

#[tokio::test]
async fn damage_before_the_end_stops_appends_and_says_where() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path()).await;
    for n in 0..20 {
        append(&log, n..n + 1).await;
    }
    log.close().await;
    flip_bit(&segments(folder.path())[0], 1000);
    let log = open(folder.path()).await;
    let reason = log.health().read_only.unwrap();
    assert!(reason.contains("damaged") && reason.contains("backup"), "{reason}");
    let error = log.append(vec![request(99)]).await.unwrap_err();
    assert!(matches!(error, AppendError::ReadOnly { .. }), "{error}");
    log.close().await;
}

#[tokio::test]
async fn a_lost_store_is_rebuilt_from_the_journal() {
    let folder = tempfile::tempdir().unwrap();
    let log = open_with(folder.path(), small()).await;
    append(&log, 0..3000).await;
    log.set_checkpoint("mine".into(), Position::new(5)).await.unwrap();
    log.close().await;
    assert!(segments(folder.path()).len() > 3);
    fs::remove_dir_all(folder.path().join("sled")).unwrap();
    let log = open_with(folder.path(), small()).await;
    assert_eq!(contents(&log).await, (0..3000).collect::<Vec<_>>());
    assert_eq!(log.checkpoint("mine".into()).await.unwrap(), Some(Position::new(5)));
    assert_eq!(log.event_by_id(EventId::from("event-77")).await.unwrap().unwrap().position.get(), 78);
    log.close().await;

    // With an earlier segment damaged as well, what can be read is read, and nothing is appended.
    fs::remove_dir_all(folder.path().join("sled")).unwrap();
    flip_bit(&segments(folder.path())[1], 5000);
    let log = open_with(folder.path(), small()).await;
    assert!(log.health().read_only.unwrap().contains("restore the segment"));
    let head = log.head().get();
    assert!(head > 100 && head < 3000);
    assert_eq!(contents(&log).await, (0..head).collect::<Vec<_>>());
    log.close().await;
}

#[tokio::test]
async fn a_damaged_store_is_put_aside_and_rebuilt() {
    let folder = tempfile::tempdir().unwrap();
    let log = open_with(folder.path(), small()).await;
    append(&log, 0..5000).await;
    log.close().await;
    let db = folder.path().join("sled/db");
    let len = fs::metadata(&db).unwrap().len().min(1_000_000);
    // All over the file, in its first half, and in one place.
    for (range, step) in [(0..len, 997), (0..len / 2, 4999), (len / 3..len / 3 + 1, 1)] {
        let file = fs::OpenOptions::new().write(true).open(&db).unwrap();
        for at in range.step_by(step) {
            file.write_all_at(&[0xA5; 40], at).unwrap();
        }
        drop(file);
        let log = open_with(folder.path(), small()).await;
        assert_eq!(contents(&log).await, (0..5000).collect::<Vec<_>>());
        assert_eq!(log.health().read_only, None);
        assert!(log.append(vec![request(77)]).await.unwrap()[0].deduplicated);
        log.close().await;
    }
    // Something in the way that sled cannot open at all.
    fs::write(&db, "no database").unwrap();
    fs::write(folder.path().join("sled/conf"), "no configuration").unwrap();
    let log = open_with(folder.path(), small()).await;
    assert_eq!(contents(&log).await, (0..5000).collect::<Vec<_>>());
    let notices = log.health().notices;
    assert!(notices.iter().any(|notice| notice.contains("put aside")), "{notices:?}");
    assert!(
        fs::read_dir(folder.path()).unwrap().any(|entry| entry
            .unwrap()
            .file_name()
            .to_string_lossy()
            .starts_with("quarantine-"))
    );
    log.close().await;
}

#[tokio::test]
async fn a_store_that_was_found_faulty_is_rebuilt_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let log = open_with(folder.path(), small()).await;
    append(&log, 0..500).await;
    log.close().await;
    fs::write(folder.path().join("rebuild-store"), "a block is damaged").unwrap();
    let log = open_with(folder.path(), small()).await;
    assert!(log.health().notices.iter().any(|notice| notice.contains("a block is damaged")));
    assert_eq!(contents(&log).await.len(), 500);
    log.close().await;
    let log = open_with(folder.path(), small()).await;
    assert_eq!(log.health().notices, Vec::<String>::new());
    log.close().await;
}

#[tokio::test]
async fn an_unfinished_snapshot_of_the_store_does_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path()).await;
    append(&log, 0..500).await;
    log.close().await;
    fs::write(folder.path().join("sled/snap.00000000FFFFFFFF.generating"), "").unwrap();
    let log = open(folder.path()).await;
    assert_eq!(log.health().notices, Vec::<String>::new());
    assert_eq!(contents(&log).await.len(), 500);
    log.close().await;
}

#[tokio::test]
async fn a_store_that_is_behind_catches_up() {
    let folder = tempfile::tempdir().unwrap();
    let log = open_with(folder.path(), small()).await;
    append(&log, 0..1000).await;
    log.set_checkpoint("mine".into(), Position::new(1)).await.unwrap();
    log.close().await;
    let old = folder.path().join("old");
    copy(&folder.path().join("sled"), &old);
    let log = open_with(folder.path(), small()).await;
    append(&log, 1000..2500).await;
    log.set_checkpoint("mine".into(), Position::new(2)).await.unwrap();
    log.close().await;
    fs::remove_dir_all(folder.path().join("sled")).unwrap();
    fs::rename(&old, folder.path().join("sled")).unwrap();
    let log = open_with(folder.path(), small()).await;
    assert_eq!(contents(&log).await, (0..2500).collect::<Vec<_>>());
    assert_eq!(log.checkpoint("mine".into()).await.unwrap(), Some(Position::new(2)));
    assert_eq!(log.health().notices, Vec::<String>::new());
    log.close().await;
}

#[tokio::test]
async fn a_store_ahead_of_its_journal_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let log = open_with(folder.path(), small()).await;
    append(&log, 0..200).await;
    log.close().await;
    let old = folder.path().join("old");
    copy(&folder.path().join("journal"), &old);
    let log = open_with(folder.path(), small()).await;
    append(&log, 200..1000).await;
    log.close().await;
    fs::remove_dir_all(folder.path().join("journal")).unwrap();
    fs::rename(&old, folder.path().join("journal")).unwrap();
    let log = open_with(folder.path(), small()).await;
    assert!(log.health().read_only.unwrap().contains("cut or exchanged"));
    log.close().await;
}

#[tokio::test]
async fn the_whole_journal_can_be_verified() {
    let folder = tempfile::tempdir().unwrap();
    let log = open_with(folder.path(), small()).await;
    append(&log, 0..2000).await;
    log.close().await;
    let verified = verify(folder.path()).unwrap();
    assert_eq!(
        (verified.events, verified.segments, verified.problems),
        (2000, segments(folder.path()).len() as u64, vec![])
    );
    // A segment that was exchanged as a whole has valid checksums; the chain gives it away.
    let other = tempfile::tempdir().unwrap();
    let log = open_with(other.path(), small()).await;
    append(&log, 5..2005).await;
    log.close().await;
    let (mine, foreign) = (&segments(folder.path())[1], &segments(other.path())[1]);
    let kept = fs::read(mine).unwrap();
    let mut exchanged = fs::read(foreign).unwrap();
    exchanged[..128].copy_from_slice(&kept[..128]);
    fs::write(mine, exchanged).unwrap();
    assert!(!verify(folder.path()).unwrap().problems.is_empty());
    fs::write(mine, kept).unwrap();
    flip_bit(mine, 3000);
    let problems = verify(folder.path()).unwrap().problems;
    assert!(problems[0].contains("0000000002.journal at byte"), "{problems:?}");
}

/// What a `kill -9` leaves: the files as they are while everything runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_confirmed_is_missing_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let log = open_with(folder.path(), small()).await;
    let mut expected = 0;
    for round in 0..6 {
        append(&log, expected..expected + 400 + round * 77).await;
        expected += 400 + round * 77;
        let writer = {
            let log = log.clone();
            tokio::spawn(async move { append(&log, expected..expected + 300).await })
        };
        let left = tempfile::tempdir().unwrap();
        // The store first: what it has is always in the journal already.
        copy(&folder.path().join("sled"), &left.path().join("sled"));
        copy(&folder.path().join("journal"), &left.path().join("journal"));
        let after = open_with(left.path(), small()).await;
        let found = contents(&after).await;
        assert!(found.len() as u64 >= expected, "{} of {expected}", found.len());
        assert_eq!(found, (0..found.len() as u64).collect::<Vec<_>>());
        assert_eq!(after.health().read_only, None);
        after.close().await;
        writer.await.unwrap();
        expected += 300;
    }
    log.close().await;
}

/// More than two spans, so that indexes, heads and ids come from the store.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn finished_spans_are_read_from_the_store() {
    const COUNT: u64 = 150_000;
    let folder = tempfile::tempdir().unwrap();
    let options = JournalOptions { keep_events: 100, ..JournalOptions::default() };
    let mut log = open_with(folder.path(), options.clone()).await;
    for n in (0..COUNT).step_by(5000) {
        log.append((n..n + 5000).map(request).collect()).await.unwrap();
    }
    for restarted in [false, true] {
        for (filter, step, first) in [(Filter::stream("thing-7"), 13, 7), (Filter::types(["op*"]), 3, 2)] {
            let mut query = Query { filter, from: Position::ZERO, direction: Direction::Backwards, limit: 10_000 };
            let mut found = Vec::new();
            loop {
                let page = log.read(query.clone()).await.unwrap();
                found.extend(page.events.iter().map(|event| event.position.get() - 1));
                let Some(next) = page.next else { break };
                query.from = next;
            }
            found.reverse();
            assert!(found == (0..COUNT).filter(|n| n % step == first).collect::<Vec<_>>());
        }
        for n in [0, 65_535, 65_536, 100_000, COUNT - 1] {
            let event = log.event_by_id(EventId::from(format!("event-{n}"))).await.unwrap().unwrap();
            assert_eq!(event.position.get(), n + 1);
            assert!(log.append(vec![request(n)]).await.unwrap()[0].deduplicated);
            let at = log.position_at_time(event.recorded_time).await.unwrap();
            let first = log.event_at(at).await.unwrap().unwrap();
            assert!(first.recorded_time == event.recorded_time && at <= event.position);
        }
        assert_eq!(log.event_by_id(EventId::from("event-x")).await.unwrap(), None);
        let heads = log.streams(StreamList::default()).await.unwrap();
        assert_eq!(heads.iter().map(|head| head.version).sum::<u64>(), COUNT);
        if !restarted {
            log.close().await;
            no_blobs(folder.path());
            log = open_with(folder.path(), options.clone()).await;
        }
    }
}
