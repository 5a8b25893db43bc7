//! A device gets its acknowledgement when its message is safe, in order, and not a moment earlier.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;

use support::*;
use tidewire_broker::{Broker, BrokerSettings};
use tidewire_node_api::broker::LocalLink;

fn connect(address: SocketAddr, level: u8, id: &str, clean: bool) -> Raw {
    let mut raw = Raw::to(address);
    raw.send(&connect_as(level, id, clean));
    raw
}

/// A device that has been told that it is in.
fn device(address: SocketAddr, id: &str, clean: bool) -> (Raw, bool) {
    let mut raw = connect(address, 4, id, clean);
    let answer = raw.read(4);
    assert_eq!((answer[0], answer[3]), (0x20, 0), "{answer:x?}");
    (raw, answer[2] == 1)
}

fn ids_acknowledged(raw: &mut Raw, count: usize) -> Vec<u16> {
    let packets = raw.read(4 * count);
    let answers = packets.chunks(4).map(|packet| {
        assert_eq!(packet[..2], [0x40, 2], "a PUBACK");
        u16::from_be_bytes([packet[2], packet[3]])
    });
    answers.collect()
}

#[test]
fn a_device_waits_for_the_flow_and_is_answered_in_order() {
    let broker = broker();
    let flow = Flow::open(&broker, "flow", true);
    flow.subscribe("in/#", 1);
    let (mut device, _) = device(broker.local_addr(), "device", true);
    for id in 1..=3 {
        device.send(&publish(1, id, false, "in/x", &id.to_string()));
    }
    let came: Vec<_> = (0..3).map(|_| flow.message()).collect();
    assert_eq!(came.iter().map(|(_, text)| text.as_str()).collect::<Vec<_>>(), ["in/x=1", "in/x=2", "in/x=3"]);
    flow.done(came[2].0);
    flow.done(came[1].0);
    device.nothing();
    flow.done(came[0].0);
    assert_eq!(ids_acknowledged(&mut device, 3), [1, 2, 3]);
}

#[test]
fn a_hundred_messages_are_under_way_at_once_and_exactly_once_ones_wait_too() {
    let broker = broker();
    let flow = Flow::open(&broker, "flow", true);
    flow.subscribe("in", 2);
    let (mut device, _) = device(broker.local_addr(), "device", true);
    let burst: Vec<u8> = (1..=100).flat_map(|id| publish(1, id, false, "in", "x")).collect();
    device.send(&burst).send(&publish(2, 101, false, "in", "x"));
    let came: Vec<_> = (0..101).map(|_| flow.message().0).collect();
    device.nothing();
    came.into_iter().for_each(|id| flow.done(id));
    assert_eq!(ids_acknowledged(&mut device, 100), (1..=100).collect::<Vec<u16>>());
    assert_eq!(device.read(4), [0x50, 2, 0, 101]);
    assert_eq!(device.send(&[0x62, 2, 0, 101]).read(4), [0x70, 2, 0, 101]);
}

#[test]
fn every_flow_that_takes_the_message_has_to_be_done() {
    let broker = broker();
    let flows = [Flow::open(&broker, "one", true), Flow::open(&broker, "two", true)];
    flows.iter().for_each(|flow| flow.subscribe("in", 1));
    let (mut device, _) = device(broker.local_addr(), "device", true);
    device.send(&publish(1, 7, false, "in", "x"));
    flows[0].done(flows[0].message().0);
    device.nothing();
    flows[1].done(flows[1].message().0);
    assert_eq!(ids_acknowledged(&mut device, 1), [7]);
}

#[test]
fn what_a_flow_did_not_finish_is_not_acknowledged_and_comes_again() {
    let broker = broker();
    let flow = Flow::open(&broker, "flow", true);
    flow.subscribe("in", 1);
    let (mut lost, _) = device(broker.local_addr(), "device", false);
    lost.send(&publish(1, 7, false, "in", "x"));
    flow.message();
    drop(flow);
    assert!(lost.rest().is_empty(), "hung up without an acknowledgement");
    let flow = Flow::open(&broker, "flow", true);
    flow.subscribe("in", 1);
    let (mut again, present) = device(broker.local_addr(), "device", false);
    assert!(present);
    again.send(&publish(1, 7, true, "in", "x"));
    flow.done(flow.message().0);
    assert_eq!(ids_acknowledged(&mut again, 1), [7]);
}

#[test]
fn a_link_that_is_opened_again_gets_what_it_had_not_finished() {
    let broker = broker();
    let flow = Flow::open(&broker, "flow", true);
    flow.subscribe("in", 1);
    let (mut device, _) = device(broker.local_addr(), "device", true);
    for id in 1..=3 {
        device.send(&publish(1, id, false, "in", &id.to_string()));
    }
    let first = flow.message().0;
    flow.message();
    flow.done(first);
    flow.open_again("flow");
    let came: Vec<_> = (0..2).map(|_| flow.message()).collect();
    assert_eq!((came[0].1.as_str(), came[1].1.as_str()), ("in=2", "in=3"));
    came.into_iter().for_each(|(id, _)| flow.done(id));
    assert_eq!(ids_acknowledged(&mut device, 3), [1, 2, 3]);
}

#[test]
fn a_message_that_a_device_sends_again_meanwhile_is_taken_once() {
    for qos in [1, 2] {
        let broker = broker();
        let flow = Flow::open(&broker, "flow", true);
        flow.subscribe("in", 2);
        let (mut first, _) = device(broker.local_addr(), "device", false);
        first.send(&publish(qos, 7, false, "in", "x"));
        let (id, _) = flow.message();
        drop(first);
        let (mut second, _) = device(broker.local_addr(), "device", false);
        second.send(&publish(qos, 7, true, "in", "x")).nothing();
        flow.done(id);
        assert_eq!(second.read(4), [if qos == 1 { 0x40 } else { 0x50 }, 2, 0, 7]);
        drop(second);
        flow.nothing();
    }
}

#[test]
fn messages_for_a_durable_session_are_on_disk_before_they_are_acknowledged() {
    let log = TestLog::new();
    let broker = Broker::start(BrokerSettings { log: Some(log.clone()), ..settings() }).unwrap();
    let address = broker.local_addr();
    for (id, stays) in [("away", false), ("here", true)] {
        let (mut session, _) = device(address, id, false);
        session.send(&[0x82, 7, 0, 1, 0, 2, b'i', b'n', 1]);
        assert_eq!(session.read(5), [0x90, 3, 0, 1, 1]);
        if stays {
            // It reads nothing and acknowledges nothing, but its connection stays.
            std::mem::forget(session);
        }
    }
    log.stall(true);
    let (mut device_, _) = device(address, "device", true);
    for id in 1..=50 {
        device_.send(&publish(1, id, false, "in", &id.to_string()));
    }
    device_.nothing();
    assert_eq!(log.after_a_kill().count("mqtt/queue/"), 0);
    log.stall(false);
    assert_eq!(ids_acknowledged(&mut device_, 50), (1..=50).collect::<Vec<u16>>());

    // The process is killed now: what follows sees only what is on disk.
    let after = log.after_a_kill();
    log.stall(true);
    drop(broker);
    let broker = Broker::start(BrokerSettings { log: Some(after.clone()), ..settings() }).unwrap();
    for id in ["away", "here"] {
        let (mut session, present) = device(broker.local_addr(), id, false);
        assert!(present);
        for number in 1..=50 {
            assert_eq!(session.message(), ("in".to_owned(), number.to_string()), "to {id}");
        }
    }
}

#[test]
fn what_a_durable_session_has_acknowledged_is_forgotten() {
    let log = TestLog::new();
    let broker = Broker::start(BrokerSettings { log: Some(log.clone()), ..settings() }).unwrap();
    let (mut session, _) = device(broker.local_addr(), "here", false);
    session.send(&[0x82, 7, 0, 1, 0, 2, b'i', b'n', 2]).read(5);
    let (mut device, _) = device(broker.local_addr(), "device", true);
    device.send(&publish(1, 1, false, "in", "x"));
    assert_eq!(ids_acknowledged(&mut device, 1), [1]);
    assert_eq!(log.count("mqtt/queue/"), 1);
    let (_, packet_id) = session.message_with_id();
    session.send(&[0x40, 2, (packet_id >> 8) as u8, packet_id as u8]).send(&[0xC0, 0]).read(2);
    broker.stop();
    assert_eq!((log.count("mqtt/queue/"), log.count("mqtt/session/")), (0, 1));
}

#[test]
fn a_retained_message_is_on_disk_before_it_is_acknowledged() {
    let log = TestLog::new();
    let broker = Broker::start(BrokerSettings { log: Some(log.clone()), ..settings() }).unwrap();
    let (mut device_, _) = device(broker.local_addr(), "device", true);
    log.stall(true);
    let mut kept = publish(1, 1, false, "kept", "7");
    kept[0] |= 1;
    device_.send(&kept).nothing();
    log.stall(false);
    assert_eq!(ids_acknowledged(&mut device_, 1), [1]);
    let broker = Broker::start(BrokerSettings { log: Some(log.after_a_kill()), ..settings() }).unwrap();
    let (mut late, _) = device(broker.local_addr(), "late", true);
    late.send(&[0x82, 9, 0, 1, 0, 4, b'k', b'e', b'p', b't', 0]).read(5);
    assert_eq!(late.message(), ("kept".to_owned(), "7".to_owned()));
}

#[test]
fn an_exactly_once_message_is_known_again_after_a_kill() {
    let log = TestLog::new();
    let broker = Broker::start(BrokerSettings { log: Some(log.clone()), ..settings() }).unwrap();
    let (mut device_, _) = device(broker.local_addr(), "device", false);
    let (mut session, _) = device(broker.local_addr(), "away", false);
    session.send(&[0x82, 7, 0, 1, 0, 2, b'i', b'n', 2]).read(5);
    drop(session);
    assert_eq!(device_.send(&publish(2, 9, false, "in", "x")).read(4), [0x50, 2, 0, 9]);
    let broker = Broker::start(BrokerSettings { log: Some(log.after_a_kill()), ..settings() }).unwrap();
    let (mut device_, _) = device(broker.local_addr(), "device", false);
    assert_eq!(device_.send(&publish(2, 9, true, "in", "x")).read(4), [0x50, 2, 0, 9]);
    assert_eq!(device_.send(&[0x62, 2, 0, 9]).read(4), [0x70, 2, 0, 9]);
    let (mut session, _) = device(broker.local_addr(), "away", false);
    assert_eq!(session.message(), ("in".to_owned(), "x".to_owned()));
    session.nothing();
}

#[test]
fn an_exactly_once_message_that_no_flow_was_done_with_comes_again_after_a_kill() {
    let log = TestLog::new();
    let broker = Broker::start(BrokerSettings { log: Some(log.clone()), ..settings() }).unwrap();
    let flow = Flow::open(&broker, "flow", true);
    flow.subscribe("in", 2);
    let (mut device_, _) = device(broker.local_addr(), "device", false);
    device_.send(&publish(2, 8, false, "in", "0"));
    flow.done(flow.message().0);
    assert_eq!(device_.read(4), [0x50, 2, 0, 8]);
    device_.send(&publish(2, 9, false, "in", "1"));
    flow.message();
    // The next one reaches the disk, with everything that was written before.
    device_.send(&publish(2, 10, false, "other", "2")).nothing();
    let after = log.after_a_kill();
    let broker = Broker::start(BrokerSettings { log: Some(after.clone()), ..settings() }).unwrap();
    let flow = Flow::open(&broker, "flow", true);
    flow.subscribe("in", 2);
    let (mut device_, _) = device(broker.local_addr(), "device", false);
    device_.send(&[0x62, 2, 0, 8]).read(4);
    device_.send(&publish(2, 9, true, "in", "1")).nothing();
    flow.done(flow.message().0);
    assert_eq!(device_.read(4), [0x50, 2, 0, 9]);
    // From now on it is known.
    let broker = Broker::start(BrokerSettings { log: Some(after.after_a_kill()), ..settings() }).unwrap();
    let flow = Flow::open(&broker, "flow", true);
    flow.subscribe("in", 2);
    let (mut device_, _) = device(broker.local_addr(), "device", false);
    assert_eq!(device_.send(&publish(2, 9, true, "in", "1")).read(4), [0x50, 2, 0, 9]);
    flow.nothing();
}

#[test]
fn a_released_id_is_free_for_another_message_whatever_happens() {
    let log = TestLog::new();
    let broker = Broker::start(BrokerSettings { log: Some(log.clone()), ..settings() }).unwrap();
    let (mut device_, _) = device(broker.local_addr(), "device", false);
    assert_eq!(device_.send(&publish(2, 9, false, "in", "1")).read(4), [0x50, 2, 0, 9]);
    log.stall(true);
    device_.send(&[0x62, 2, 0, 9]).nothing();
    let still_there = log.after_a_kill();
    log.stall(false);
    assert_eq!(device_.read(4), [0x70, 2, 0, 9]);
    // Killed before the disk was that far, or after it; or the device forgot that it had sent something.
    for (log, released) in [(still_there.clone(), true), (log.after_a_kill(), false), (still_there, false)] {
        let broker = Broker::start(BrokerSettings { log: Some(log.after_a_kill()), ..settings() }).unwrap();
        let flow = Flow::open(&broker, "flow", true);
        flow.subscribe("in", 2);
        let (mut device_, _) = device(broker.local_addr(), "device", false);
        if released {
            assert_eq!(device_.send(&[0x62, 2, 0, 9]).read(4), [0x70, 2, 0, 9]);
        }
        device_.send(&publish(2, 9, false, "in", "2"));
        let (id, text) = flow.message();
        assert_eq!(text, "in=2");
        flow.done(id);
        assert_eq!(device_.read(4), [0x50, 2, 0, 9]);
    }
}

#[test]
fn ids_that_a_device_never_released_do_not_hold_it_up() {
    let broker = broker();
    for round in 0..20 {
        let (mut device_, _) = device(broker.local_addr(), "device", false);
        for id in 1..=30 {
            let id = round * 30 + id;
            device_.send(&publish(2, id, false, "in", "x"));
            assert_eq!(device_.read(4)[..2], [0x50, 2], "round {round}");
        }
    }
}

#[test]
fn devices_wait_until_the_flows_are_there() {
    let broker = Broker::start(BrokerSettings { waits: true, ..settings() }).unwrap();
    let (mut device, _) = device(broker.local_addr(), "device", true);
    device.send(&publish(1, 7, false, "in", "x")).nothing();
    let flow = Flow::link(&broker);
    broker.open();
    // The link has not said what it wants; meanwhile the device is told that the broker lives.
    assert_eq!(device.send(&[0xC0, 0]).read(2), [0xD0, 0]);
    device.nothing();
    flow.connect("flow", true);
    flow.subscribe("in", 1);
    flow.settled();
    flow.done(flow.message().0);
    assert_eq!(ids_acknowledged(&mut device, 1), [7]);
    broker.hold();
    device.send(&publish(1, 8, false, "in", "x")).nothing();
}

#[test]
fn a_client_that_sends_more_than_it_may_is_sent_away() {
    let broker = broker();
    let flow = Flow::open(&broker, "flow", true);
    flow.subscribe("in", 1);
    let mut device = connect(broker.local_addr(), 5, "device", true);
    let burst: Vec<u8> = (1..=300).flat_map(|id| publish_5(1, id, "in", "x")).collect();
    let answer = device.send(&burst).rest();
    assert!(answer.ends_with(&[0xE0, 1, 0x93]), "receive maximum exceeded: {answer:x?}");
    let mut old = connect(broker.local_addr(), 4, "old", true);
    old.read(4);
    let burst: Vec<u8> = (1..=300).flat_map(|id| publish(1, id, false, "in", "x")).collect();
    // Without a window in the protocol the rest waits in the socket.
    old.send(&burst);
    (0..256 + 256).for_each(|_| flow.done(flow.message().0));
    assert_eq!(ids_acknowledged(&mut old, 256).len(), 256);
}

#[test]
fn any_text_is_a_client_id() {
    let broker = broker();
    for id in ["plant/7", "../x", "a b", "größe"] {
        device(broker.local_addr(), id, false);
    }
}

#[test]
fn messages_cross_between_flows_and_clients_with_their_properties() {
    let broker = broker();
    let (one, two) = (Flow::open(&broker, "one", true), Flow::open(&broker, "two", true));
    two.subscribe("a/+", 0);
    one.publish("a/b", "quick", 0);
    one.publish("a/b", "sure", 1);
    assert_eq!(one.published(), 0, "the broker took it over");
    assert_eq!([two.text(), two.text()], ["a/b=quick", "a/b=sure"]);
    one.publish("a/#", "x", 1);
    assert_eq!(one.published(), 0x90, "no topic to publish to");
    let link: Arc<dyn LocalLink> = broker.local().link();
    assert!(broker.local().is_at("localhost", broker.local_addr().port()) && !broker.local().is_at("10.0.0.1", 1883));
    drop(link);
}

#[test]
fn a_flow_that_publishes_faster_than_others_follow_is_held_up() {
    const MORE_THAN_MAY_WAIT: usize = 17_000;
    let broker = broker();
    let (fast, slow) = (Flow::open(&broker, "fast", true), Flow::open(&broker, "slow", true));
    slow.subscribe("in", 1);
    (0..MORE_THAN_MAY_WAIT).for_each(|_| fast.publish("in", "x", 1));
    let waiting: Vec<u64> = (0..MORE_THAN_MAY_WAIT).map(|_| slow.message().0).collect();
    let answers = fast.count();
    assert!(answers < MORE_THAN_MAY_WAIT, "{answers} answers");
    waiting.into_iter().for_each(|id| slow.done(id));
    (answers..MORE_THAN_MAY_WAIT).for_each(|_| assert_eq!(fast.published(), 0));
}
