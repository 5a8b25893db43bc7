//! Bad packets, bad settings and strangers: the one who sent them is sent away, the others do not notice.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod support;

use std::{net::SocketAddr, sync::Arc};
use support::*;
use tidewire_broker::{Anonymous, Authenticator, Broker, BrokerSettings, Limits, Login, Verdict};

/// Runs `attack` while two clients talk, and checks that they still do.
async fn others_go_on(limits: Limits, attack: impl FnOnce(SocketAddr) + Send + 'static) {
    let broker = Broker::start(BrokerSettings { limits, ..settings() }).unwrap();
    let address = broker.local_addr();
    let mut client = V4::to(address, "other").await;
    client.subscribe("in", 1).await;
    tokio::task::spawn_blocking(move || attack(address)).await.unwrap();
    client.publish("in", "still here", 0, false).await;
    assert_eq!(client.next().await, "in=still here");
    assert_eq!(broker.stats().clients, 1, "the attacker is gone");
}

#[tokio::test]
async fn garbage_ends_that_connection_only() {
    others_go_on(Limits::default(), |address| {
        for garbage in [
            &b"GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: somebody who took this for a web server\r\n\r\n"[..],
            &[0xFF; 64],
            &[0x00, 0x00],
            &[0x10, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F],
        ] {
            Raw::to(address).send(garbage).rest();
        }
    })
    .await;
}

#[tokio::test]
async fn malformed_packets_after_connect_end_that_connection_only() {
    let bad: &[&[u8]] = &[
        &[0x30, 2, 0, 9],                         // topic longer than the packet
        &[0x30, 5, 0, 3, b'a', b'/', b'#'],       // wildcard in a topic
        &[0x30, 4, 0, 2, 0xC3, 0x28],             // not UTF-8
        &[0x36, 7, 0, 1, b'a', 0, 1, b'x', b'y'], // QoS 3
        &[0x80, 6, 0, 1, 0, 1, b'a', 0],          // reserved flags of SUBSCRIBE
        &[0x82, 2, 0, 1],                         // SUBSCRIBE without a filter
        &[0x20, 2, 0, 0],                         // CONNACK from a client
    ];
    others_go_on(Limits::default(), move |address| {
        for level in [4, 5] {
            for packet in bad {
                let mut raw = Raw::to(address);
                raw.send(&connect_packet(level)).send(packet).send(&connect_packet(level));
                raw.rest();
            }
        }
    })
    .await;
}

#[tokio::test]
async fn truncation_at_every_byte_is_survived() {
    others_go_on(Limits::default(), |address| {
        let publish = [0x32, 9, 0, 3, b'a', b'/', b'b', 0, 1, b'h', b'i'];
        let whole = [connect_packet(4), publish.to_vec()].concat();
        for length in 0..whole.len() {
            Raw::to(address).send(&whole[..length]);
        }
        // The last one, so that the broker has seen all of them.
        Raw::to(address).send(&connect_packet(4)).send(&[0xE0, 0]).rest();
    })
    .await;
}

#[tokio::test]
async fn an_unsupported_version_is_told_so() {
    others_go_on(Limits::default(), |address| {
        assert_eq!(Raw::to(address).send(&connect_packet(3)).rest(), [0x20, 2, 0, 1]);
        let answer = Raw::to(address).send(&connect_packet(9)).rest();
        assert_eq!((answer[0], answer[3]), (0x20, 0x84));
    })
    .await;
}

#[tokio::test]
async fn a_packet_beyond_the_limit_is_refused_by_its_header() {
    let limits = Limits { packet_bytes_max: 4_096, ..Limits::default() };
    others_go_on(limits, |address| {
        // 256 MiB announced, next to nothing sent.
        Raw::to(address).send(&connect_packet(4)).send(&[0x30, 0xFF, 0xFF, 0xFF, 0x7F, 0, 1, b'a']).rest();
    })
    .await;
}

#[tokio::test]
async fn a_client_without_keep_alive_gets_answers_at_once() {
    let broker = broker();
    tokio::task::spawn_blocking(move || {
        let mut raw = Raw::to(broker.local_addr());
        raw.send(&connect_packet(4));
        assert_eq!(raw.read(4), [0x20, 2, 0, 0]);
        raw.send(&[0xC0, 0]);
        assert_eq!(raw.read(2), [0xD0, 0]);
        raw.send(&[0x82, 6, 0, 1, 0, 1, b'a', 0]);
        assert_eq!(raw.read(5), [0x90, 3, 0, 1, 0]);
    })
    .await
    .unwrap();
}

/// Knows one device.
struct OneDevice;

impl Authenticator for OneDevice {
    fn login(&self, login: &Login<'_>) -> Verdict {
        match (login.username, login.password) {
            (Some("probe"), Some(b"secret")) => Verdict::Accept { user: Some("probe".into()) },
            (Some(_), _) => Verdict::BadCredentials,
            _ => Verdict::NotAllowed,
        }
    }

    fn may_publish(&self, _client_id: &str, user: Option<&str>, topic: &str) -> bool {
        user == Some("probe") && topic.starts_with("probe/")
    }

    fn may_subscribe(&self, _client_id: &str, _user: Option<&str>, filter: &str) -> bool {
        filter.starts_with("probe/")
    }
}

#[tokio::test]
async fn the_hook_decides_who_connects_publishes_and_subscribes() {
    let broker = Broker::start(BrokerSettings { authenticator: Arc::new(OneDevice), ..settings() }).unwrap();
    let with = |name: &str, password: &str| {
        let mut options = v5::options(broker.local_addr(), "client");
        options.set_credentials(name.to_owned(), password.to_owned());
        options
    };
    for (options, code) in
        [(v5::options(broker.local_addr(), "client"), "NotAuthorized"), (with("probe", "guess"), "BadUserNamePassword")]
    {
        let (_client, mut events) = rumqttc_v5::AsyncClient::builder(options).capacity(1).build();
        let refusal = events.poll().await.unwrap_err().to_string();
        assert!(refusal.contains(code), "{refusal}");
    }
    let mut probe = V5::connect(with("probe", "secret")).await;
    probe.subscribe("probe/#", 1).await;
    probe.client.subscribe("#", rumqttc_v5::mqttbytes::QoS::AtMostOnce).await.unwrap();
    match probe.incoming.recv().await.unwrap() {
        rumqttc_v5::Incoming::SubAck(answer) => assert_eq!(format!("{:?}", answer.return_codes), "[NotAuthorized]"),
        other => panic!("{other:?}"),
    }
    probe.publish("others/x", "1", 0, false).await;
    probe.publish("probe/x", "2", 0, false).await;
    let message = probe.message().await;
    assert_eq!(&message.topic[..], b"probe/x");
    assert_eq!(message.properties, None, "the user name is not passed on");
}

#[test]
fn strangers_are_for_loopback_only() {
    let from = |address: &str| {
        let login = Login { client_id: "x", username: None, password: None, address: address.parse().unwrap() };
        Anonymous.login(&login)
    };
    for near in ["127.0.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
        assert_eq!(from(near), Verdict::Accept { user: None }, "{near}");
    }
    for far in ["192.168.1.7:1", "[fe80::1]:1", "10.0.0.1:1"] {
        assert_eq!(from(far), Verdict::NotAllowed, "{far}");
    }
}

#[test]
fn a_port_in_use_says_which_and_how_to_mend_it() {
    let first = broker();
    let taken = first.local_addr();
    let refusal = Broker::start(BrokerSettings::new(taken)).unwrap_err().to_string();
    for part in [&taken.port().to_string(), "--mqtt", "in use"] {
        assert!(refusal.contains(part), "{refusal}");
    }
    first.stop();
    Broker::start(BrokerSettings::new(taken)).unwrap();
}
