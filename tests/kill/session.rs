//! Messages for a device that is away, which Tidewire's own broker has acknowledged to their sender.

use std::collections::BTreeSet;

use tidewire_tests::{Mqtt, Server};

const MESSAGES: u64 = 2_000;

#[tokio::test]
async fn messages_for_a_device_that_is_away_are_delivered_after_a_crash() {
    let mut server = Server::with().start().await;
    let mut away = Mqtt::connect_kept(server.mqtt_port, "away").await;
    away.subscribe("orders/#").await;
    drop(away);
    let mut sender = Mqtt::connect(server.mqtt_port, "sender").await;
    let answers: Vec<_> = (1..=MESSAGES).map(|n| sender.send("orders/a", n.to_string().as_bytes())).collect();
    for answer in answers {
        tokio::time::timeout(tidewire_tests::PATIENCE, answer).await.expect("a PUBACK is missing").unwrap();
    }
    server.kill9();
    server.start_again().await;

    let mut back = Mqtt::connect_kept(server.mqtt_port, "away").await;
    let mut orders = Vec::new();
    while orders.iter().collect::<BTreeSet<_>>().len() < MESSAGES as usize {
        orders.push(back.next().await.text().parse::<u64>().unwrap());
    }
    assert!(orders.iter().copied().eq(1..=MESSAGES), "each once and in order: {} came", orders.len());
}
