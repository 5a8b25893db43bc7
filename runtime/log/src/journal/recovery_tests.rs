//! Every way in which one segment can be cut short or changed.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::sync::Arc;

use tidewire_model::append::StateChange;
use tidewire_model::event::{EventId, JSON, NewEvent, Place, StreamName};
use tidewire_model::position::Position;

use super::*;
use crate::journal::Journal;
use crate::journal::reading::Step;
use crate::journal::record::Record;

fn record(journal: &Journal, events: u64) -> Record {
    let event = |n| {
        let position = Position::new(journal.position + n);
        let place = Place { stream: StreamName::new("thing-1").unwrap(), position, version: n, recorded_time: 7 };
        NewEvent { time: Some(5), ..NewEvent::new("read", JSON, "{}") }.record(|| EventId::Bits(u128::from(n)), place)
    };
    let events = (1..=events).map(|n| Arc::new(event(n))).collect();
    let state = vec![StateChange { key: "k".into(), value: Some(Bytes::from_static(b"v")) }];
    Record::encode(journal.commit + 1, journal.position, events, state)
}

/// A folder with one segment of three commits; answers its bytes without the zeroes, and where each record begins.
fn three_commits() -> (tempfile::TempDir, Vec<u8>, Vec<usize>) {
    let folder = tempfile::tempdir().unwrap();
    let (mut journal, _) = Journal::open(folder.path(), 1 << 20).unwrap();
    let mut starts = vec![usize::try_from(HEAD_BYTES).unwrap()];
    for events in [2, 2, 1] {
        let record = record(&journal, events);
        journal.append(&record).unwrap();
        starts.push(starts.last().unwrap() + record.bytes.len());
    }
    let mut bytes = fs::read(folder.path().join("0000000001.journal")).unwrap();
    bytes.truncate(*starts.last().unwrap());
    (folder, bytes, starts)
}

fn reopen(folder: &Path, bytes: &[u8]) -> Result<(u64, u64, Vec<String>), LogError> {
    fs::write(folder.join("0000000001.journal"), bytes).unwrap();
    Journal::open(folder, 1 << 20).map(|(journal, notices)| (journal.commit, journal.position, notices))
}

#[test]
fn a_last_record_torn_at_any_byte_is_cut() {
    let (folder, bytes, starts) = three_commits();
    assert_eq!(reopen(folder.path(), &bytes).unwrap(), (3, 5, vec![]));
    for cut in starts[2] + 1..bytes.len() {
        for zeroes in if cut % 8 == 0 { &[0, 300][..] } else { &[300] } {
            let mut torn = bytes[..cut].to_vec();
            torn.resize(cut + *zeroes, 0);
            let (commit, position, notices) = reopen(folder.path(), &torn).unwrap();
            assert_eq!((commit, position, notices.len()), (2, 4, 1), "cut at {cut}");
            assert!(fs::metadata(folder.path().join("torn-after-commit-2.bin")).unwrap().len() > 0);
        }
    }
    assert_eq!(reopen(folder.path(), &bytes[..starts[2]]).unwrap(), (2, 4, vec![]));
}

/// How many whole records a reader finds before it stops, and whether it stops at a clean end.
fn read_through(folder: &Path, bytes: &[u8]) -> Option<(usize, bool)> {
    fs::write(folder.join("0000000001.journal"), bytes).unwrap();
    let heads = crate::journal::segment::list(folder).ok()?;
    let mut reader = SegmentReader::open(folder, &heads[0]).unwrap();
    let mut records = 0;
    loop {
        match reader.next() {
            Step::Record(_) => records += 1,
            Step::End => return Some((records, true)),
            Step::Bad(_) => return Some((records, false)),
        }
    }
}

#[test]
fn every_flipped_bit_is_noticed() {
    let (folder, bytes, starts) = three_commits();
    assert_eq!(read_through(folder.path(), &bytes), Some((3, true)));
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            let found = read_through(folder.path(), &flipped);
            let record = starts.iter().rposition(|start| *start <= at);
            assert_eq!(found, record.map(|record| (record, false)), "byte {at} bit {bit}");
        }
    }
}

#[test]
fn only_damage_to_the_last_commit_is_cut() {
    let (folder, bytes, starts) = three_commits();
    for at in (0..bytes.len()).step_by(11) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 16;
        match reopen(folder.path(), &flipped) {
            Err(LogError::Damaged(_)) => assert!(at < starts[2], "the last commit is cut, not damage: {at}"),
            Ok((commit, position, notices)) => {
                assert_eq!((commit, position, notices.len()), (2, 4, 1), "byte {at}");
                assert!(at >= starts[2]);
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn segments_are_chained_and_a_missing_one_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let (mut journal, _) = Journal::open(folder.path(), 600).unwrap();
    for _ in 0..20 {
        let record = record(&journal, 1);
        journal.append(&record).unwrap();
    }
    drop(journal);
    let heads = crate::journal::segment::list(folder.path()).unwrap();
    assert!(heads.len() > 3);
    assert!(heads[1..].iter().all(|head| head.previous_root != [0; 32]));
    let (journal, notices) = Journal::open(folder.path(), 600).unwrap();
    assert_eq!((journal.commit, journal.position, notices.len()), (20, 20, 0));
    fs::remove_file(folder.path().join(heads[1].file_name())).unwrap();
    let error = Journal::open(folder.path(), 600).err().unwrap().to_string();
    assert!(error.contains("segment 2 is missing"), "{error}");
}
