//! Messages through Tidewire's own broker, which is killed with it. Devices send again, marked as a duplicate, what was
//! not acknowledged when the connection broke: one that reads its acknowledgements at once, one that has not read the
//! last of them whenever its connection breaks, and one with QoS 2.
//!
//! So every number is acknowledged in the end, and every number is in the log exactly once: a PUBACK says that the
//! message is there, and a message that is there is known again.

use std::time::Duration;

use tidewire_tests::device::{Device, Manner};
use tidewire_tests::{Flow, Server, flow};

use super::{Fate, Tally, ingest, subscribed, verify};

const DEVICES: [(&str, Manner, u32); 3] =
    [("prompt", Manner::Prompt, 400), ("slow", Manner::Slow, 200), ("twice", Manner::ExactlyOnce, 200)];

#[tokio::test]
async fn every_message_that_a_device_sent_is_in_the_log_once() {
    let mut fate = Fate::new(20);
    let mut server = Server::with().start().await;
    let flow = ingest(Flow::new().broker(server.mqtt_port), "thing-{{payload.of}}");
    flow::deploy(&server.http(), &flow).await;
    subscribed(&server.http()).await;
    let devices = DEVICES.map(|(name, manner, rate)| Device::start(server.mqtt_port, name, manner, rate));
    loop {
        // They got through, and again after each kill: one before that would prove nothing.
        for device in &devices {
            device.more(1).await;
        }
        if fate.next_round().is_none() {
            break;
        }
        fate.strike(&mut server).await;
    }
    let http = server.http();
    for (device, (name, ..)) in devices.into_iter().zip(DEVICES) {
        let sent = device.stop().await;
        let tally = Tally::complete(&http, &format!("thing-{name}"), sent.last, Duration::from_secs(30)).await;
        let doubled = tally.doubled();
        println!(
            "{name}: {} messages in {:.0} s over {} connections, {} sent again, none lost, {} doubled",
            sent.last,
            sent.seconds,
            sent.connections,
            sent.again,
            doubled.len()
        );
        let seed = fate.seed;
        assert!(doubled.is_empty(), "{name}, seed {seed}: {} are in the log twice: {doubled:?}", doubled.len());
        assert!(tally.numbers.is_sorted(), "{name}: in the order they were sent in");
        tally.matches_the_models(&http).await;
    }
    verify(&mut server);
}
