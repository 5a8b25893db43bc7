//! Messages come and go as promised while the connection holds.

use super::{broker::*, *};
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Instant,
};

/// Polls for something that another process or thread will do.
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < SOON, "{what}");
        std::thread::yield_now();
    }
}

#[test]
fn acknowledgements_are_sent_in_the_order_of_receipt() {
    let broker = Mosquitto::start();
    let proxy = Proxy::before(broker.port);
    let client = Client::connect(settings(proxy.port));
    let sub = Sub::to(&client.connection, "in/#", Qos::AtLeastOnce).granted();
    let sender = Client::connect(settings(broker.port));
    for number in 0..5 {
        sender.publish("in/x", &number.to_string(), Qos::AtLeastOnce);
    }
    let mut acks: Vec<_> = (0..5).map(|_| sub.messages.recv_timeout(SOON).unwrap().ack.unwrap()).collect();
    let first = acks.remove(0);
    for ack in acks.into_iter().rev() {
        ack.complete(AckOutcome::Done);
    }
    std::thread::sleep(NOT);
    assert!(proxy.pubacks().is_empty(), "nothing may be acknowledged before the oldest");
    first.complete(AckOutcome::Dropped);
    eventually("all are acknowledged", || proxy.pubacks().len() == 5);
    assert!(proxy.pubacks().is_sorted(), "{:?}", proxy.pubacks());
}

#[test]
fn a_publish_reports_what_became_of_it() {
    let broker = Mosquitto::start();
    let mut with_5 = settings(broker.port);
    with_5.protocol = Protocol::V5;
    let (old, new) = (Client::connect(settings(broker.port)), Client::connect(with_5));
    let outcome = |told: Receiver<PublishOutcome>| told.recv_timeout(SOON).unwrap();
    assert_eq!(outcome(old.publish("a", "1", Qos::AtMostOnce)), PublishOutcome::Sent);
    assert_eq!(outcome(old.publish("a", "1", Qos::AtLeastOnce)), PublishOutcome::Acknowledged { reason: 0 });
    assert_eq!(outcome(old.publish("a", "1", Qos::ExactlyOnce)), PublishOutcome::Acknowledged { reason: 0 });
    assert_eq!(outcome(new.publish("nobody", "1", Qos::AtLeastOnce)), PublishOutcome::Acknowledged { reason: 0x10 });
    assert_eq!(outcome(new.publish("a/#", "1", Qos::AtLeastOnce)), PublishOutcome::Refused { reason: 0x90 });
}

#[test]
fn properties_of_version_5_arrive() {
    let broker = Mosquitto::start();
    let mut with_5 = settings(broker.port);
    with_5.protocol = Protocol::V5;
    let client = Client::connect(with_5);
    let sub = Sub::to(&client.connection, "in", Qos::ExactlyOnce).granted();
    let mut message = Outgoing::new("in", "21", Qos::ExactlyOnce);
    let properties = Properties {
        content_type: Some("text/plain".into()),
        response_topic: Some("answer".into()),
        correlation_data: Some("7".into()),
        user: vec![("unit".into(), "°C".into())],
        ..Properties::default()
    };
    message.properties = Some(Box::new(properties.clone()));
    client.send(message);
    let came = sub.messages.recv_timeout(SOON).unwrap();
    let mut got = *came.properties.unwrap();
    got.subscription_ids.clear();
    assert_eq!((came.qos, got), (Qos::ExactlyOnce, properties));
}

/// Takes messages only as permitted.
struct Slow {
    permits: AtomicUsize,
    taken: Mutex<Sender<Incoming>>,
}

impl Subscriber for Slow {
    fn deliver(&self, batch: &mut Vec<Incoming>) -> usize {
        let count = self.permits.load(Ordering::SeqCst).min(batch.len());
        self.permits.fetch_sub(count, Ordering::SeqCst);
        for message in batch.drain(..count) {
            let _ = self.taken.lock().unwrap().send(message);
        }
        count
    }
}

#[test]
fn a_slow_subscriber_loses_the_oldest_of_qos_0_and_nothing_of_qos_1() {
    let broker = Mosquitto::start();
    let mut small = settings(broker.port);
    small.backlog_max = 10;
    let client = Client::connect(small);
    let (taken, messages) = channel();
    let slow = Arc::new(Slow { permits: AtomicUsize::new(0), taken: Mutex::new(taken) });
    let (at_0, other) = (slow.clone(), Sub::to(&client.connection, "end", Qos::AtMostOnce).granted());
    let guard = client.connection.subscribe(Subscription::new("in/#", Qos::AtLeastOnce), at_0);
    let sender = Client::connect(settings(broker.port));
    Sub::to(&client.connection, "ready", Qos::AtMostOnce).granted();
    for number in 0..30 {
        sender.publish("in/0", &number.to_string(), Qos::AtMostOnce);
        sender.publish("in/1", &number.to_string(), Qos::AtLeastOnce);
    }
    sender.publish("end", "", Qos::AtMostOnce);
    assert_eq!(other.next(), "end=", "others are served while one is slow");
    slow.permits.store(1_000, Ordering::SeqCst);
    guard.resume();
    let mut got = Vec::new();
    while let Ok(message) = messages.recv_timeout(NOT) {
        got.push(text(&message));
        if let Some(ack) = message.ack {
            ack.complete(AckOutcome::Done);
        }
    }
    let of_1: Vec<_> = got.iter().filter(|text| text.starts_with("in/1")).cloned().collect();
    assert_eq!(of_1, (0..30).map(|number| format!("in/1={number}")).collect::<Vec<_>>());
    assert_eq!(got.iter().rfind(|text| text.starts_with("in/0")).unwrap(), "in/0=29", "the newest is kept");
    let lost = 60 - got.len();
    assert!(lost > 0 && client.connection.stats().dropped_in == lost as u64, "{lost}");
}

#[test]
fn a_full_queue_says_so_and_room_is_announced() {
    let broker = Mosquitto::start();
    let mut small = settings(broker.port);
    small.outgoing_max = 10;
    let client = Client::connect(small);
    let many = (0..100).map(|n| Outgoing::new("a", n.to_string(), Qos::AtLeastOnce)).collect();
    let mut rest = match client.connection.publish(many) {
        Err(PublishFull(rest)) => rest,
        Ok(()) => panic!("100 messages cannot fit"),
    };
    assert_eq!(rest.len(), 90);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    while !rest.is_empty() {
        runtime.block_on(async { tokio::time::timeout(SOON, client.connection.room()).await.unwrap() });
        rest = client.connection.publish(rest).err().map_or_else(Vec::new, |full| full.0);
    }
}

#[test]
fn closing_sends_what_is_queued_and_says_goodbye() {
    let broker = Mosquitto::start();
    let proxy = Proxy::before(broker.port);
    let watcher = Client::connect(settings(broker.port));
    let seen = Sub::to(&watcher.connection, "#", Qos::AtLeastOnce).granted();
    let will = |payload: &str| Will {
        topic: "state".into(),
        payload: payload.to_owned().into(),
        qos: Qos::AtLeastOnce,
        retain: false,
        properties: None,
        delay: None,
    };
    let mut with_all = settings(proxy.port);
    (with_all.birth, with_all.close, with_all.will) = (Some(will("born")), Some(will("closed")), Some(will("died")));
    let client = Client::connect(with_all);
    assert_eq!(seen.next(), "state=born");
    let many = (0..500).map(|n| Outgoing::new("in", n.to_string(), Qos::AtLeastOnce)).collect();
    client.connection.publish(many).unwrap();
    client.connection.close();
    for number in 0..500 {
        assert_eq!(seen.next(), format!("in={number}"));
    }
    assert_eq!(seen.next(), "state=closed");
    eventually("DISCONNECT is sent", || proxy.said_goodbye());
    seen.nothing_more();
}

#[test]
fn a_connection_that_is_lost_leaves_its_will() {
    let broker = Mosquitto::start();
    let proxy = Proxy::before(broker.port);
    let watcher = Client::connect(settings(broker.port));
    let seen = Sub::to(&watcher.connection, "#", Qos::AtLeastOnce).granted();
    let mut with_will = settings(proxy.port);
    with_will.will = Some(Will {
        topic: "state".into(),
        payload: "died".into(),
        qos: Qos::AtLeastOnce,
        retain: false,
        properties: None,
        delay: None,
    });
    let _client = Client::connect(with_will);
    proxy.cut();
    assert_eq!(seen.next(), "state=died");
}
