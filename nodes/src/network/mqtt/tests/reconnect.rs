//! Nothing is lost when connections break and brokers restart.

use super::{broker::*, *};
use std::collections::BTreeSet;

#[test]
fn what_was_not_acknowledged_comes_again_and_old_acknowledgements_do_not_count() {
    let broker = Mosquitto::start();
    let proxy = Proxy::before(broker.port);
    let client = Client::prepare(persistent(proxy.port, "again"));
    let sub = Sub::to(&client.connection, "in", Qos::AtLeastOnce);
    client.connection.connect();
    assert!(!client.connected());
    let sub = sub.granted();
    let sender = Client::connect(settings(broker.port));
    for number in 0..3 {
        sender.publish("in", &number.to_string(), Qos::AtLeastOnce);
    }
    let mut first: Vec<_> = (0..3).map(|_| sub.messages.recv_timeout(SOON).unwrap()).collect();
    first.remove(0).ack.unwrap().complete(AckOutcome::Done);
    while proxy.pubacks().is_empty() {
        std::thread::yield_now();
    }
    proxy.cut();
    assert!(client.connected(), "the broker kept the session");
    let again: Vec<_> = (0..2).map(|_| sub.messages.recv_timeout(SOON).unwrap()).collect();
    assert_eq!(again.iter().map(text).collect::<Vec<_>>(), ["in=1", "in=2"]);
    assert!(again.iter().all(|message| message.duplicate), "the broker marks what it delivers again");
    for stale in first {
        stale.ack.unwrap().complete(AckOutcome::Done);
    }
    std::thread::sleep(NOT);
    assert!(proxy.pubacks().is_empty(), "an acknowledgement of the lost connection was sent on the new one");
    for message in again {
        message.ack.unwrap().complete(AckOutcome::Done);
    }
    while proxy.pubacks().len() < 2 {
        std::thread::yield_now();
    }
}

#[test]
fn what_waits_in_the_session_is_not_lost_before_the_subscriber_is_there() {
    let broker = Mosquitto::start();
    let sender = Client::connect(settings(broker.port));
    let client = Client::connect(persistent(broker.port, "late"));
    drop(Sub::to(&client.connection, "in", Qos::AtLeastOnce).granted());
    let sub = Sub::to(&client.connection, "in", Qos::AtLeastOnce).granted();
    drop(sub.messages);
    client.connection.close();
    // Closing gave the subscription back; a client of the same name makes one that outlives it.
    let keeper = Client::connect(persistent(broker.port, "late"));
    std::mem::forget(Sub::to(&keeper.connection, "in", Qos::AtLeastOnce).granted());
    keeper.connection.close();
    for number in 0..5 {
        let outcome = sender.publish("in", &number.to_string(), Qos::AtLeastOnce);
        assert_eq!(outcome.recv_timeout(SOON).unwrap(), PublishOutcome::Acknowledged { reason: 0 });
    }
    let client = Client::connect(persistent(broker.port, "late"));
    let sub = Sub::to(&client.connection, "in", Qos::AtLeastOnce);
    for number in 0..5 {
        assert_eq!(sub.next(), format!("in={number}"));
    }
}

#[test]
fn a_message_that_failed_comes_again() {
    let broker = Mosquitto::start();
    let client = Client::prepare(persistent(broker.port, "failing"));
    let sub = Sub::to(&client.connection, "in", Qos::AtLeastOnce);
    client.connection.connect();
    let sub = sub.granted();
    client.publish("in", "1", Qos::AtLeastOnce);
    // Dropped without a word, as by a node that panicked.
    drop(sub.messages.recv_timeout(SOON).unwrap());
    client.disconnected();
    let again = sub.messages.recv_timeout(SOON).unwrap();
    assert!(again.duplicate);
    again.ack.unwrap().complete(AckOutcome::Done);
}

#[test]
fn a_restarted_broker_gets_subscriptions_and_messages_again() {
    for protocol in [Protocol::V4, Protocol::V5] {
        let mut broker = Mosquitto::start();
        let mut settings = persistent(broker.port, "restart");
        settings.protocol = protocol;
        let client = Client::connect(settings);
        let sub = Sub::to(&client.connection, "in", Qos::AtLeastOnce).granted();
        broker.kill();
        client.disconnected();
        let while_away: Vec<_> = (0..200).map(|n| client.publish("in", &n.to_string(), Qos::AtLeastOnce)).collect();
        broker.start_again();
        assert!(!client.connected(), "the broker has lost its memory");
        let mut got = BTreeSet::new();
        while got.len() < 200 {
            got.insert(sub.next());
        }
        for outcome in while_away {
            assert_eq!(outcome.recv_timeout(SOON).unwrap(), PublishOutcome::Acknowledged { reason: 0 });
        }
    }
}

/// Publishes through a connection that is cut three times; every message must arrive and be acknowledged.
fn survives_three_cuts(protocol: Protocol, clean_session: bool, qos: Qos) {
    let broker = Mosquitto::start();
    let proxy = Proxy::before(broker.port);
    let watcher = Client::connect(settings(broker.port));
    let seen = Sub::to(&watcher.connection, "in", Qos::ExactlyOnce).granted();
    let mut settings = persistent(proxy.port, "sender");
    (settings.protocol, settings.clean_session) = (protocol, clean_session);
    let client = Client::connect(settings);
    let count = 3_000;
    let outcomes: Vec<_> = (0..count).map(|n| client.publish("in", &n.to_string(), qos)).collect();
    let mut got = BTreeSet::new();
    let mut copies = 0;
    while got.len() < count {
        copies += 1;
        got.insert(seen.next());
        if copies < 2_500 && copies % 700 == 0 {
            proxy.cut();
            client.disconnected();
            client.connected();
        }
    }
    for outcome in outcomes {
        assert!(matches!(outcome.recv_timeout(SOON).unwrap(), PublishOutcome::Acknowledged { .. }));
    }
    assert!(client.connection.stats().reconnects >= 3);
    if qos == Qos::ExactlyOnce {
        seen.nothing_more();
        assert_eq!(copies, count, "exactly once, as long as the broker keeps the session");
    }
}

#[test]
fn qos_1_survives_cuts_with_a_clean_session() {
    survives_three_cuts(Protocol::V4, true, Qos::AtLeastOnce);
    survives_three_cuts(Protocol::V5, true, Qos::AtLeastOnce);
}

#[test]
fn qos_1_survives_cuts_with_a_kept_session() {
    survives_three_cuts(Protocol::V4, false, Qos::AtLeastOnce);
    survives_three_cuts(Protocol::V5, false, Qos::AtLeastOnce);
}

#[test]
fn qos_2_survives_cuts_without_a_second_copy() {
    survives_three_cuts(Protocol::V4, false, Qos::ExactlyOnce);
    survives_three_cuts(Protocol::V5, false, Qos::ExactlyOnce);
}

#[test]
fn while_the_broker_is_away_nothing_waits_for_it() {
    let mut broker = Mosquitto::start();
    let mut small = settings(broker.port);
    small.outgoing_max = 10;
    let client = Client::connect(small);
    broker.kill();
    client.disconnected();
    let outcomes: Vec<_> = (0..30).map(|n| client.publish("in", &n.to_string(), Qos::AtMostOnce)).collect();
    let given_up = outcomes.iter().filter(|told| told.try_recv() == Ok(PublishOutcome::Dropped)).count();
    assert_eq!(given_up, 20, "the oldest make way");
    assert_eq!(client.connection.dropped(), (0, 20));
    broker.start_again();
    for told in outcomes.iter().skip(20) {
        assert_eq!(told.recv_timeout(SOON).unwrap(), PublishOutcome::Sent);
    }
}

#[test]
fn a_broker_that_is_not_there_is_reported_and_does_not_hold_up_the_end() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let client = Client::prepare(settings(port));
    client.connection.connect();
    assert!(client.disconnected().contains("refused"));
    let lost = client.publish("in", "1", Qos::AtLeastOnce);
    let began = std::time::Instant::now();
    client.connection.close();
    assert!(began.elapsed() < Duration::from_secs(1));
    assert_eq!(lost.recv_timeout(SOON).unwrap(), PublishOutcome::Dropped);
}
