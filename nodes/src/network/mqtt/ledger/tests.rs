#![allow(clippy::unwrap_used, clippy::indexing_slicing)]
use super::*;
use crate::network::mqtt::{Qos, link::Local};
use tidewire_engine::log_handle::LogHandle;
use tidewire_log::MemoryLog;
use tidewire_node_api::broker::Sender;

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

fn of_device(device: &str, packet_id: u16, duplicate: bool, delivery: u64) -> Received {
    let author = Sender { client_id: device.into(), packet_id, duplicate };
    Received { local: Some(Local { delivery, author: Some(author) }), ..message(0, false, "x") }
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
fn other_contents_acknowledged_messages_and_reused_ids_are_news() {
    let log = log();
    let mut before = opened(&log, "me");
    let first: Vec<_> = (1..=4).map(|id| before.identify(&message(id, false, "x"))).collect();
    before.acknowledged(1);
    before.identify(&message(5, false, "x"));
    write(&mut before);
    let mut after = opened(&log, "me");
    assert_eq!(after.identify(&message(1, true, "x")), first[0], "the acknowledgement may have been lost");
    assert_ne!(after.identify(&message(2, true, "y")), first[1], "another content");
    assert_ne!(after.identify(&message(3, false, "x")), first[2], "not marked as repeated");
    assert_eq!(after.identify(&message(4, true, "x")), first[3]);
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
fn a_lost_connection_is_like_a_crash() {
    let mut ledger = opened(&log(), "me");
    let first = ledger.identify(&message(7, false, "x"));
    ledger.on_lost();
    assert_eq!(ledger.identify(&message(7, true, "x")), first);
}

#[test]
fn devices_and_connections_are_told_apart() {
    let log = log();
    let long = "d".repeat(300);
    let mut before = opened(&log, "me");
    let one = before.identify(&of_device("one", 1, false, 10));
    let two = before.identify(&of_device(&long, 1, false, 11));
    before.acknowledged(10);
    write(&mut before);
    let mut stranger = opened(&log, "me-too");
    assert_ne!(stranger.identify(&of_device(&long, 1, true, 1)), two);
    let mut after = opened(&log, "me");
    assert_ne!(after.identify(&of_device("one", 1, true, 1)), one);
    assert_eq!(after.identify(&of_device(&long, 1, true, 2)), two);
}
