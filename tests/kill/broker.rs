//! Messages through Tidewire's own broker, which is killed with it. The device has QoS 1 and sends again, marked as a
//! duplicate, what was not acknowledged when the connection broke.
//!
//! So every number is acknowledged in the end, and every number is in the log exactly once: a PUBACK says that the
//! message is there, and a message that is there is known again.

use std::time::Duration;

use tidewire_tests::{Device, Flow, Server, flow};

use super::{Fate, Tally, ingest, subscribed, verify};

const RATE: u32 = 500;

#[tokio::test]
async fn every_message_that_a_device_sent_is_in_the_log_once() {
    let mut fate = Fate::new(20);
    let mut server = Server::with().start().await;
    flow::deploy(&server.http(), &ingest(Flow::new().broker(server.mqtt_port))).await;
    subscribed(&server.http()).await;
    let device = Device::start(server.mqtt_port, "load/a", RATE);
    while fate.next_round().is_some() {
        fate.strike(&mut server).await;
        // The device got through again: a kill before that would prove nothing.
        device.more(1).await;
    }
    let sent = device.stop().await;

    let http = server.http();
    let tally = Tally::complete(&http, sent.last, Duration::from_secs(30)).await;
    let doubled = tally.doubled();
    println!(
        "{} messages in {:.0} s over {} connections, {} sent again, none lost, {} doubled",
        sent.last,
        sent.seconds,
        sent.connections,
        sent.again,
        doubled.len()
    );
    assert!(doubled.is_empty(), "seed {}: {} messages are in the log twice: {doubled:?}", fate.seed, doubled.len());
    assert!(tally.numbers.is_sorted(), "in the order they were sent in");
    tally.matches_the_models(&http).await;
    verify(&mut server);
}
