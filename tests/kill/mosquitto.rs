//! Messages through a broker that is not ours and is not killed; Tidewire has a session there that is kept.

use std::time::Duration;

use serde_json::json;
use tidewire_tests::{Flow, Load, Mosquitto, Server};

use super::{Fate, Tally, ingest, subscribed, verify};

const RATE: u32 = 500;

#[tokio::test]
async fn every_message_that_was_acknowledged_is_in_the_log_once() {
    let mut fate = Fate::new(20);
    let broker = Mosquitto::start();
    let connection = json!({"broker": "127.0.0.1", "port": broker.port.to_string(), "clientid": "tidewire-kill",
        "protocolVersion": "4", "keepalive": "60", "cleansession": false});
    let flow = ingest(Flow::new().config("broker", "mqtt-broker", connection), "thing-load");
    let mut server = Server::with().no_broker().flows(&flow).start().await;
    // The session has to exist before the first message counts.
    subscribed(&server.http()).await;
    let load = Load::start(broker.port, "load/a", RATE).await;
    while fate.next_round().is_some() {
        fate.strike(&mut server).await;
    }
    let sent = load.stop().await;
    assert_eq!(sent.acknowledged.len() as u64, sent.last, "mosquitto acknowledges everything");

    let http = server.http();
    let patience = Duration::from_secs(60 + 2 * fate.rounds);
    let tally = Tally::complete(&http, "thing-load", sent.last, patience).await;
    let doubled = tally.doubled();
    println!("{} messages at {}/s, none lost, {} doubled", sent.last, sent.rate(), doubled.len());
    assert!(doubled.is_empty(), "seed {}: {} messages are in the log twice: {doubled:?}", fate.seed, doubled.len());
    assert!(tally.numbers.is_sorted(), "in the order they were sent in");
    tally.matches_the_models(&http).await;
    verify(&mut server);
}
