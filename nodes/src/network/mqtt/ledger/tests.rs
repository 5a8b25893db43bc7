#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use super::*;
use crate::network::mqtt::{Qos, link::Local};
use tidewire_engine::log_handle::LogHandle;
use tidewire_log::MemoryLog;
use tidewire_node_api::broker::{Device, Sender};

fn log() -> Arc<dyn Log> {
    Arc::new(LogHandle::new(Arc::new(MemoryLog::new())))
}

/// A ledger as the next process finds it.
fn opened(log: &Arc<dyn Log>, name: &str) -> Ledger {
    let mut ledger = Ledger::new(Arc::clone(log), name);
    ledger.restore(futures_util::FutureExt::now_or_never(ledger.load()).unwrap().unwrap());
    ledger
}

fn message(packet_id: u16, duplicate: bool, payload: &'static str) -> Received {
    Received {
        topic: "t".into(),
        payload: payload.into(),
        qos: Qos::AtLeastOnce,
        retain: false,
        duplicate,
        packet_id,
        properties: None,
        local: None,
        identity: None,
    }
}

fn of_device(device: &Arc<Device>, packet_id: u16, duplicate: bool, number: u64) -> Received {
    let author = Sender { device: Arc::clone(device), packet_id, duplicate, number };
    Received { local: Some(Local { delivery: number, author: Some(author) }), ..message(0, false, "x") }
}

fn device(client_id: &str) -> Arc<Device> {
    Arc::new(Device::new(client_id.into()))
}

fn write(ledger: &mut Ledger) {
    drop(futures_util::FutureExt::now_or_never(ledger.write()).unwrap().unwrap());
}

#[test]
fn what_is_repeated_after_a_crash_is_recognised() {
    let log = log();
    let mut before = opened(&log, "me");
    let first: Vec<_> = (1..=3).map(|id| before.identify(&message(id, false, "x"))).collect();
    write(&mut before);
    let mut after = opened(&log, "me");
    let again: Vec<_> = (1..=3).map(|id| after.identify(&message(id, true, "x"))).collect();
    assert_eq!(again, first);
    assert_ne!(after.identify(&message(4, false, "x")), first[0], "news get identities of their own in every life");
}

#[test]
fn a_second_crash_before_all_has_come_again_changes_nothing() {
    let log = log();
    let mut first = opened(&log, "me");
    let identities: Vec<_> = (1..=3).map(|id| first.identify(&message(id, false, "x"))).collect();
    write(&mut first);
    let mut second = opened(&log, "me");
    second.identify(&message(1, true, "x"));
    write(&mut second);
    let mut third = opened(&log, "me");
    assert_eq!((1..=3).map(|id| third.identify(&message(id, true, "x"))).collect::<Vec<_>>(), identities);
}

#[test]
fn other_contents_and_ids_that_are_used_again_are_news() {
    let log = log();
    let mut before = opened(&log, "me");
    let first: Vec<_> = (1..=4).map(|id| before.identify(&message(id, false, "x"))).collect();
    write(&mut before);
    let mut after = opened(&log, "me");
    assert_ne!(after.identify(&message(1, true, "y")), first[0], "another content");
    assert_ne!(after.identify(&message(2, false, "x")), first[1], "not marked as repeated");
    assert_ne!(after.identify(&message(2, true, "x")), first[1], "its id has been used again");
}

#[test]
fn of_a_sender_that_counts_what_was_acknowledged_may_come_again_too() {
    let log = log();
    let mut before = opened(&log, "me");
    let first: Vec<_> = (1..=600).map(|id| before.identify(&message(id, false, "x"))).collect();
    (1..=600).for_each(|id| before.acknowledged(id));
    before.identify(&message(601, false, "x"));
    write(&mut before);
    for crash in [false, true] {
        if crash {
            before = opened(&log, "me");
        } else {
            before.on_lost();
        }
        for id in [500, 501, 600] {
            assert_eq!(before.identify(&message(id, true, "x")), first[usize::from(id) - 1], "crash: {crash}");
        }
        assert_ne!(before.identify(&message(602, true, "x")), first[1], "it has not been here");
    }
    let mut again = opened(&log, "me");
    assert_ne!(again.identify(&message(1, true, "x")), first[0], "forgotten long ago");
}

#[test]
fn what_is_written_and_kept_does_not_grow() {
    let (log, device) = (log(), device("one"));
    let mut ledger = opened(&log, "me");
    let records = |ledger: &Ledger| futures_util::FutureExt::now_or_never(ledger.load()).unwrap().unwrap();
    for number in 1..=100_000u32 {
        let id = u16::try_from(number % 65_535 + 1).unwrap();
        ledger.identify(&of_device(&device, id, false, number.into()));
        write(&mut ledger);
        let late = u64::from(number).saturating_sub(50);
        ledger.acknowledged(late);
        device.set_answered(late);
    }
    let kept = records(&ledger);
    let bytes: usize = kept.iter().map(|(_, value)| value.len()).sum();
    assert!(kept.len() <= 7 && bytes <= 7 * 432, "{} records of {bytes} bytes", kept.len());
    assert!(kept.iter().all(|(_, value)| value.len() <= 432));
    let after = opened(&log, "me");
    assert!((150..=190).contains(&after.accounts["one"].len()), "{}", after.accounts["one"].len());
}

#[test]
fn however_much_was_under_way_all_of_it_is_recognised() {
    let log = log();
    let mut before = opened(&log, "me");
    let first: Vec<_> = (1..=3_000).map(|id| before.identify(&message(id, false, "x"))).collect();
    write(&mut before);
    let mut after = opened(&log, "me");
    let again: Vec<_> = (1..=3_000).map(|id| after.identify(&message(id, true, "x"))).collect();
    assert_eq!(again, first);
}

#[test]
fn of_a_sender_that_uses_ids_again_news_are_never_taken_for_what_was_acknowledged() {
    for ids in [1, 2, 7, 100] {
        let mut ledger = opened(&log(), "me");
        let (mut seen, mut identities) = (0, BTreeSet::new());
        for round in 0..3 {
            for id in 1..=ids {
                // Each message in turn gets lost on its way, and comes with the mark only, as that before it did.
                let lost = (round * ids + id) % (ids + 1) == 0;
                identities.insert(ledger.identify(&message(id, lost, "x")));
                ledger.acknowledged(u64::from(id));
                if lost {
                    ledger.on_lost();
                }
                seen += 1;
            }
        }
        assert_eq!(identities.len(), seen, "{ids} ids in turn");
    }
}

#[test]
fn what_a_device_was_not_answered_is_remembered_whatever_its_ids() {
    let (log, device) = (log(), device("one"));
    let mut before = opened(&log, "me");
    let first = before.identify(&of_device(&device, 9, false, 1));
    write(&mut before);
    before.acknowledged(1);
    // The next message is noted; then the process is killed before the broker has answered the first.
    before.identify(&of_device(&device, 3, false, 2));
    write(&mut before);
    assert_eq!(opened(&log, "me").identify(&of_device(&device, 9, true, 1)), first);
    device.set_answered(1);
    before.identify(&of_device(&device, 4, false, 3));
    write(&mut before);
    assert_ne!(opened(&log, "me").identify(&of_device(&device, 9, true, 1)), first, "answered, and not counted up");
}

#[test]
fn a_device_whose_session_ended_may_repeat_what_it_was_not_answered() {
    let mut ledger = opened(&log(), "me");
    let (old, new) = (device("one"), device("one"));
    let first = ledger.identify(&of_device(&old, 9, false, 1));
    let second = ledger.identify(&of_device(&old, 3, false, 2));
    [1, 2].into_iter().for_each(|number| ledger.acknowledged(number));
    old.set_answered(1);
    new.set_answered(5);
    assert_ne!(ledger.identify(&of_device(&new, 9, true, 6)), first);
    assert_eq!(ledger.identify(&of_device(&new, 3, true, 7)), second);
}

#[test]
fn senders_that_are_silent_for_long_are_forgotten_when_there_are_many() {
    let log = log();
    let mut ledger = opened(&log, "me");
    for number in 1..=12_000 {
        let device = device(&number.to_string());
        ledger.identify(&of_device(&device, 1, false, number));
        if number > 1 {
            ledger.acknowledged(number);
        }
        write(&mut ledger);
    }
    let records = futures_util::FutureExt::now_or_never(ledger.load()).unwrap().unwrap();
    let known = |sender: &str| records.iter().any(|(key, _)| *key == format!("mqtt-in/me/0/{sender}"));
    assert!(records.len() <= ACCOUNTS_MAX && known("1") && !known("2") && known("12000"), "{}", records.len());
}

#[test]
fn senders_repeat_in_order_so_what_was_passed_over_is_gone() {
    let log = log();
    let mut before = opened(&log, "me");
    let first: Vec<_> = (1..=2).map(|id| before.identify(&message(id, false, "x"))).collect();
    write(&mut before);
    let mut after = opened(&log, "me");
    assert_eq!(after.identify(&message(2, true, "x")), first[1]);
    assert_ne!(after.identify(&message(1, true, "x")), first[0], "a new message under the same id");
}

#[test]
fn what_is_repeated_one_by_one_may_come_a_third_time() {
    let (log, device) = (log(), device("one"));
    let mut ledger = opened(&log, "me");
    let mut number = 0;
    let mut send = |ledger: &mut Ledger, id: u16, repeated: bool| {
        number += 1;
        let identity = ledger.identify(&of_device(&device, id, repeated, number));
        write(ledger);
        ledger.acknowledged(number);
        device.set_answered(number);
        identity
    };
    let first: Vec<_> = (1..=9).map(|id| send(&mut ledger, id, false)).collect();
    for _ in 0..2 {
        assert_eq!((6..=9).map(|id| send(&mut ledger, id, true)).collect::<Vec<_>>(), first[5..]);
        ledger = opened(&log, "me");
    }
    assert_eq!((6..=9).map(|id| send(&mut ledger, id, true)).collect::<Vec<_>>(), first[5..]);
}

#[test]
fn a_lost_connection_is_like_a_crash() {
    let mut ledger = opened(&log(), "me");
    let first = ledger.identify(&message(7, false, "x"));
    ledger.on_lost();
    assert_eq!(ledger.identify(&message(7, true, "x")), first);
}

#[test]
fn devices_and_connections_are_told_apart() {
    let log = log();
    let (one, long) = (device("one"), device(&"d".repeat(300)));
    let mut before = opened(&log, "me");
    let of_one = before.identify(&of_device(&one, 1, false, 10));
    let of_long = before.identify(&of_device(&long, 1, false, 11));
    write(&mut before);
    let mut stranger = opened(&log, "me-too");
    assert_ne!(stranger.identify(&of_device(&long, 1, true, 1)), of_long);
    let mut after = opened(&log, "me");
    assert_eq!(after.identify(&of_device(&long, 1, true, 2)), of_long);
    assert_eq!(after.identify(&of_device(&one, 1, true, 1)), of_one);
}
