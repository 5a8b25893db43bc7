//! Messages reach those who subscribed, in both versions on one port, with the guarantees of the standard.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod support;

use rumqttc_v5::{PublishOptions, mqttbytes::QoS, mqttbytes::v5::PublishProperties};
use support::*;

#[tokio::test]
async fn both_versions_talk_to_each_other_on_one_port() {
    let broker = broker();
    let (mut old, mut new) = (V4::to(broker.local_addr(), "old").await, V5::to(broker.local_addr(), "new").await);
    old.subscribe("to/old", 2).await;
    new.subscribe("to/new", 2).await;
    for qos in 0..=2 {
        old.publish("to/new", &format!("qos {qos}"), qos, false).await;
        new.publish("to/old", &format!("qos {qos}"), qos, false).await;
        assert_eq!(old.next().await, format!("to/old=qos {qos}"));
        assert_eq!(new.next().await, format!("to/new=qos {qos}"));
    }
    let stats = broker.stats();
    assert_eq!((stats.clients, stats.messages_received, stats.messages_sent), (2, 6, 6));
    assert!(stats.messages_per_s > 0.0);
}

#[tokio::test]
async fn every_retained_message_reaches_a_new_subscriber() {
    let broker = broker();
    let mut publisher = V4::to(broker.local_addr(), "publisher").await;
    for number in 0..1_200 {
        publisher.publish(&format!("kept/{number}"), "1", 0, true).await;
    }
    publisher.publish("kept/last", "1", 1, true).await;
    assert_eq!(broker.stats().retained, 1_201);
    for qos in [0, 1] {
        let mut subscriber = V4::to(broker.local_addr(), "subscriber").await;
        subscriber.client.subscribe("kept/#", rumqttc_v4::mqttbytes::qos(qos).unwrap()).await.unwrap();
        let mut topics = std::collections::BTreeSet::new();
        while topics.len() < 1_201 {
            let message = subscriber.message().await;
            assert!(message.retain);
            topics.insert(message.topic);
        }
        subscriber.leave().await;
    }
}

#[tokio::test]
async fn an_empty_retained_message_clears_and_live_messages_are_not_marked() {
    let broker = broker();
    let mut client = V4::to(broker.local_addr(), "client").await;
    client.subscribe("kept", 1).await;
    client.publish("kept", "1", 0, true).await;
    assert!(!client.message().await.retain, "a live message is news");
    client.publish("kept", "", 0, true).await;
    assert_eq!(client.next().await, "kept=");
    let mut late = V4::to(broker.local_addr(), "late").await;
    late.subscribe("kept", 1).await;
    late.nothing_more().await;
}

#[tokio::test]
async fn wildcards_do_not_see_topics_of_the_system() {
    let broker = broker();
    let mut client = V4::to(broker.local_addr(), "client").await;
    for filter in ["#", "+/x", "$own/#"] {
        client.subscribe(filter, 0).await;
    }
    client.publish("$own/x", "1", 0, false).await;
    client.publish("end", "", 0, false).await;
    assert_eq!([client.next().await, client.next().await], ["$own/x=1", "end="], "once, by its own filter");
}

#[tokio::test]
async fn shared_subscriptions_split_the_load_and_survive_a_member() {
    let broker = broker();
    let address = broker.local_addr();
    let (mut one, mut two, mut publisher) =
        (V4::to(address, "one").await, V5::to(address, "two").await, V4::to(address, "publisher").await);
    one.subscribe("$share/team/job/+", 1).await;
    two.subscribe("$share/team/job/+", 1).await;
    for number in 0..20 {
        publisher.publish("job/x", &number.to_string(), 1, false).await;
    }
    for _ in 0..10 {
        one.next().await;
        two.next().await;
    }
    one.nothing_more().await;
    two.leave().await;
    for number in 0..5 {
        publisher.publish("job/x", &number.to_string(), 1, false).await;
        assert_eq!(one.next().await, format!("job/x={number}"));
    }
}

#[tokio::test]
async fn properties_pass_and_nothing_is_added_to_them() {
    let broker = broker();
    let (mut sender, mut receiver) =
        (V5::to(broker.local_addr(), "sender").await, V5::to(broker.local_addr(), "receiver").await);
    receiver.subscribe("in", 1).await;
    let properties = PublishProperties {
        content_type: Some("text/plain".into()),
        response_topic: Some("answer".into()),
        correlation_data: Some("7".into()),
        user_properties: vec![("unit".into(), "°C".into()), ("unit".into(), "K".into())],
        ..PublishProperties::default()
    };
    for retain in [false, true] {
        let options = PublishOptions::new(QoS::AtLeastOnce).retain(retain).properties(properties.clone());
        sender.client.publish("in", "21", options).await.unwrap();
        assert_eq!(receiver.message().await.properties.unwrap(), properties);
    }
    let mut late = V5::to(broker.local_addr(), "late").await;
    late.subscribe("in", 1).await;
    assert_eq!(late.message().await.properties.unwrap(), properties, "a retained message keeps its properties");
    sender.publish("in", "plain", 0, false).await;
    assert_eq!(late.message().await.properties, None);
}

#[tokio::test]
async fn wills_come_when_a_client_vanishes_and_not_when_it_leaves() {
    let broker = broker();
    let mut watcher = V4::to(broker.local_addr(), "watcher").await;
    watcher.subscribe("state/#", 1).await;
    let with_will = |id: &str| {
        let mut options = v4::options(broker.local_addr(), id);
        let topic = format!("state/{id}");
        options.set_last_will(rumqttc_v4::LastWill::new(topic, "gone", rumqttc_v4::QoS::AtLeastOnce, true));
        options
    };
    V4::connect(with_will("leaving")).await.leave().await;
    V4::connect(with_will("vanishing")).await.vanish().await;
    assert_eq!(watcher.next().await, "state/vanishing=gone");
    watcher.nothing_more().await;
    let mut late = V4::to(broker.local_addr(), "late").await;
    late.subscribe("state/+", 1).await;
    assert!(late.message().await.retain, "a retained will is kept");
}
