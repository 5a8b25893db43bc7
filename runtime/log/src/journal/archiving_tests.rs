//! What is there after a stop at any step on the way to an archive, and what an archive lets out again.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::sync::Arc;

use bytes::Bytes;
use tidewire_model::append::StateChange;
use tidewire_model::event::{EventId, JSON, NewEvent, Place, StreamName};
use tidewire_model::position::Position;

use super::*;
use crate::journal::reading::Step;
use crate::journal::record::Record;
use crate::journal::{Journal, segment};

/// A journal of several segments with 100 commits.
fn journal(folder: &Path) -> Journal {
    let (mut journal, _) = Journal::open(folder, 4096).unwrap();
    for commit in 0..100_u64 {
        let event = |n: u64| {
            let position = Position::new(journal.position + n);
            let place = Place {
                stream: StreamName::new("thing-1").unwrap(),
                position,
                version: position.get(),
                recorded_time: 7,
            };
            NewEvent { time: Some(5), ..NewEvent::new("read", JSON, format!("{commit}/{n}")) }
                .record(|| EventId::Bits(position.get().into()), place)
        };
        let events = (1..=commit % 4).map(|n| Arc::new(event(n))).collect();
        let state = vec![StateChange { key: "k".into(), value: Some(Bytes::from_static(b"v")) }];
        let record = Record::encode(journal.commit + 1, journal.position, events, state);
        journal.append(&record).unwrap();
    }
    journal
}

fn records(folder: &Path) -> Vec<Bytes> {
    let mut records = Vec::new();
    for head in segment::list(folder).unwrap() {
        let mut reader = SegmentReader::open(folder, &head).unwrap();
        loop {
            match reader.next() {
                Step::Record(record) => records.push(record.bytes),
                Step::End => break,
                Step::Bad(reason) => panic!("{reason}"),
            }
        }
    }
    records
}

#[test]
fn a_stop_at_any_step_leaves_one_or_the_other() {
    let stages = [Stage::Write, Stage::Check, Stage::Name, Stage::SyncName, Stage::Remove, Stage::SyncRemoval];
    for stop in stages {
        let folder = tempfile::tempdir().unwrap();
        drop(journal(folder.path()));
        let before = records(folder.path());
        let heads = segment::list(folder.path()).unwrap();
        assert!(heads.len() > 4);
        let mut calls = 0;
        let mut halt = |stage| {
            calls += 1;
            // Writing stops in the midst.
            stage != stop || (stop == Stage::Write && calls < 5)
        };
        let done = archive(folder.path(), &heads[1], heads[2].previous_root, &mut halt).unwrap();
        assert_eq!(done.is_some(), stop == Stage::SyncRemoval, "{stop:?}");
        assert_eq!(records(folder.path()), before, "{stop:?}");
        assert_eq!(tidy(folder.path(), &segment::list(folder.path()).unwrap()).unwrap(), Vec::<String>::new());
        let (plain, archived) = (folder.path().join("0000000002.journal"), folder.path().join("0000000002.archive"));
        assert_ne!(plain.exists(), archived.exists(), "one of the two: {stop:?}");
        assert!(fs::read_dir(folder.path()).unwrap().flatten().all(|entry| !entry.path().ends_with("tmp")));
        assert_eq!(records(folder.path()), before, "{stop:?}");
        let (journal, notices) = Journal::open(folder.path(), 4096).unwrap();
        assert_eq!((journal.commit, notices.len()), (100, 0));
    }
}

#[test]
fn of_a_segment_and_a_damaged_archive_the_segment_stays() {
    let folder = tempfile::tempdir().unwrap();
    drop(journal(folder.path()));
    let before = records(folder.path());
    let heads = segment::list(folder.path()).unwrap();
    let mut halt = |stage| stage != Stage::Remove;
    assert!(archive(folder.path(), &heads[0], heads[1].previous_root, &mut halt).unwrap().is_none());
    let path = folder.path().join("0000000001.archive");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).unwrap();
    let notices = tidy(folder.path(), &heads).unwrap();
    assert!(notices.len() == 1 && notices[0].contains("0000000001.archive"), "{notices:?}");
    assert!(!path.exists());
    assert_eq!(records(folder.path()), before);
}

#[test]
fn a_segment_that_is_not_what_the_chain_says_is_never_replaced() {
    let folder = tempfile::tempdir().unwrap();
    drop(journal(folder.path()));
    let heads = segment::list(folder.path()).unwrap();
    let error = archive(folder.path(), &heads[0], [9; 32], &mut |_| true).unwrap_err();
    assert!(error.to_string().contains("not that of the segment"), "{error}");
    assert!(folder.path().join("0000000001.journal").exists());
    assert!(!folder.path().join("0000000001.archive").exists());
}

#[test]
fn a_journal_of_archives_alone_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    drop(journal(folder.path()));
    let heads = segment::list(folder.path()).unwrap();
    for pair in heads.windows(2) {
        let head = archive(folder.path(), &pair[0], pair[1].previous_root, &mut |_| true).unwrap().unwrap();
        assert!(head.end < head.raw_bytes, "{head:?}");
    }
    let last = heads.last().unwrap();
    fs::remove_file(folder.path().join(last.file_name())).unwrap();
    let (mut journal, notices) = Journal::open(folder.path(), 4096).unwrap();
    assert_eq!((journal.commit, journal.position + 1, notices.len()), (last.first_commit - 1, last.first_position, 0));
    let state = vec![StateChange { key: "k".into(), value: None }];
    let record = Record::encode(journal.commit + 1, journal.position, Vec::new(), state);
    journal.append(&record).unwrap();
    drop(journal);
    assert_eq!(records(folder.path()).len() as u64, last.first_commit);
    assert_eq!(segment::list(folder.path()).unwrap().last(), Some(last), "it continues the chain");
}
