//! What happens when the store fails while the log runs: it is opened anew and memory is built anew with it.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::sync::mpsc::sync_channel;

use tidewire_model::append::StateChange;
use tidewire_model::event::{EventId, JSON, NewEvent, Place, StreamName};
use tidewire_model::position::Position;

use super::*;
use crate::journal::Journal;

fn record(journal: &Journal, count: u64) -> Record {
    let event = |n: u64| {
        let stream = StreamName::new(format!("thing-{}", n % 3)).unwrap();
        let place = Place { stream, position: Position::new(n), version: n.div_ceil(3), recorded_time: 7 };
        NewEvent { time: Some(5), ..NewEvent::new("read", JSON, "{}") }.record(|| EventId::Bits(u128::from(n)), place)
    };
    let events = (journal.position + 1..=journal.position + count).map(|n| Arc::new(event(n))).collect();
    let state = vec![StateChange { key: "k".into(), value: Some(Bytes::from(journal.position.to_string())) }];
    Record::encode(journal.commit + 1, journal.position, events, state)
}

#[test]
fn a_store_opened_anew_has_everything_again() {
    let folder = tempfile::tempdir().unwrap();
    let journal_folder = folder.path().join("journal");
    std::fs::create_dir(&journal_folder).unwrap();
    let (mut journal, _) = Journal::open(&journal_folder, 4096).unwrap();
    let options = crate::JournalOptions { keep_events: 0, refresh_after: 1, ..crate::JournalOptions::default() };
    let shared = Shared::new(folder.path(), crate::Bodies::in_memory(), &options);
    let mut facts = JournalFacts {
        log_id: journal.log_id(),
        journal_folder,
        store_folder: folder.path().join("sled"),
        commit: 0,
        position: 0,
        intact: true,
    };
    for (round, lose_store) in [false, false, true].into_iter().enumerate() {
        let (commits, queue) = sync_channel(100);
        for _ in 0..20 {
            let record = record(&journal, 7);
            journal.append(&record).unwrap();
            commits.send(record).unwrap();
        }
        drop(commits);
        facts = JournalFacts { commit: journal.commit, position: journal.position, ..facts };
        shared.set_phase(Phase::Opening);
        if lose_store {
            std::fs::remove_dir_all(&facts.store_folder).unwrap();
        }
        attempt_once(&shared, &facts, None, &queue, round == 0).unwrap();
        let live = shared.live.read();
        assert_eq!((live.head, live.commit), (journal.position, journal.commit));
        assert_eq!(live.heads.values().map(|head| head.version).sum::<u64>(), journal.position);
        assert!(live.tail.len() < 32, "the rest is in the store");
        let store = shared.wait_for_store().unwrap();
        let first = crate::reader::Blocks::new(&store).get(1).unwrap().unwrap();
        assert_eq!(first.position, Position::FIRST);
        let state = Values::new(&store, Space::Log, STATE).get("k").unwrap().unwrap();
        assert_eq!(state, (journal.position - 7).to_string());
    }
    assert_eq!(shared.health().read_only, None);
}
