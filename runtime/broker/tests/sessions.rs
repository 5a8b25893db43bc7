//! What the broker owes a client that was away, also over a restart of the broker.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod support;

use support::*;
use tidewire_broker::{Broker, BrokerSettings};

fn persistent(address: std::net::SocketAddr, id: &str) -> rumqttc_v4::MqttOptions {
    let mut options = v4::options(address, id);
    options.set_clean_session(false);
    options
}

#[tokio::test]
async fn messages_wait_for_a_client_that_is_away() {
    let broker = broker();
    let mut away = V4::connect(persistent(broker.local_addr(), "away")).await;
    away.subscribe("in/#", 1).await;
    away.vanish().await;
    let mut publisher = V5::to(broker.local_addr(), "publisher").await;
    for number in 0..500 {
        publisher.publish("in/x", &number.to_string(), 1, false).await;
    }
    let mut back = V4::connect(persistent(broker.local_addr(), "away")).await;
    assert!(back.session_present);
    for number in 0..500 {
        assert_eq!(back.next().await, format!("in/x={number}"), "in order, each once");
    }
}

#[tokio::test]
async fn what_was_not_acknowledged_is_delivered_again_and_marked() {
    let broker = broker();
    let mut options = persistent(broker.local_addr(), "forgetful");
    options.set_ack_mode(rumqttc_v4::AckMode::Manual);
    let mut forgetful = V4::connect(options.clone()).await;
    forgetful.subscribe("in", 1).await;
    let mut publisher = V4::to(broker.local_addr(), "publisher").await;
    publisher.publish("in", "1", 1, false).await;
    assert!(!forgetful.message().await.dup);
    forgetful.vanish().await;
    let mut back = V4::connect(options).await;
    let again = back.message().await;
    assert_eq!((&again.payload[..], again.dup), (&b"1"[..], true));
}

#[tokio::test]
async fn a_clean_session_starts_empty() {
    let broker = broker();
    let mut first = V4::connect(persistent(broker.local_addr(), "same")).await;
    first.subscribe("in", 1).await;
    first.leave().await;
    let mut second = V4::to(broker.local_addr(), "same").await;
    assert!(!second.session_present);
    let mut publisher = V4::to(broker.local_addr(), "publisher").await;
    publisher.publish("in", "1", 1, false).await;
    second.nothing_more().await;
}

#[test]
fn the_newer_of_two_clients_with_one_id_wins() {
    let broker = broker();
    let mut old = Raw::to(broker.local_addr());
    old.send(&connect_packet(5)).read(1);
    let mut new = Raw::to(broker.local_addr());
    new.send(&connect_packet(5)).read(1);
    let last_words = old.rest();
    assert!(last_words.windows(3).any(|w| w[0] == 0xE0 && w[2] == 0x8E), "not told why: {last_words:x?}");
}

#[tokio::test]
async fn sessions_queues_and_retained_messages_survive_a_restart() {
    let log = TestLog::new();
    let settings = BrokerSettings { log: Some(log), ..settings() };
    let broker = Broker::start(settings.clone()).unwrap();
    let mut away = V4::connect(persistent(broker.local_addr(), "away")).await;
    away.subscribe("in", 1).await;
    away.leave().await;
    let mut publisher = V4::to(broker.local_addr(), "publisher").await;
    publisher.publish("in", "1", 1, false).await;
    publisher.publish("kept", "7", 1, true).await;
    tokio::task::spawn_blocking(move || broker.stop()).await.unwrap();

    let broker = Broker::start(settings).unwrap();
    let mut back = V4::connect(persistent(broker.local_addr(), "away")).await;
    assert!(back.session_present);
    assert_eq!(back.next().await, "in=1");
    assert_eq!(broker.stats().retained, 1);
    back.subscribe("kept", 1).await;
    assert_eq!(back.next().await, "kept=7");
}
