//! Clients of both versions and raw sockets for tests of the broker.

#![allow(dead_code, unused_imports, unreachable_pub, clippy::unwrap_used, clippy::indexing_slicing)]

pub mod flow;
pub mod log;
pub mod v4;
pub mod v5;

pub use flow::Flow;
pub use log::TestLog;
use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};
use tidewire_broker::{Broker, BrokerSettings};
pub use v4::V4;
pub use v5::V5;

/// Longest wait for something that must happen.
pub const SOON: Duration = Duration::from_secs(20);
/// Wait for something that must not happen.
pub const NOT: Duration = Duration::from_millis(300);

/// Settings for a free port on loopback.
pub fn settings() -> BrokerSettings {
    BrokerSettings::new(([127, 0, 0, 1], 0).into())
}

pub fn broker() -> Broker {
    Broker::start(settings()).unwrap()
}

/// A connection without a client library.
pub struct Raw(TcpStream);

impl Raw {
    pub fn to(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(SOON)).unwrap();
        Self(socket)
    }

    /// Sends bytes; a broker that has hung up already is no failure here.
    pub fn send(&mut self, bytes: &[u8]) -> &mut Self {
        let _ = self.0.write_all(bytes);
        self
    }

    /// Everything until the broker hangs up.
    pub fn rest(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        match self.0.read_to_end(&mut all) {
            Err(error) if error.kind() != std::io::ErrorKind::ConnectionReset => panic!("not closed: {error}"),
            _ => all,
        }
    }

    /// Nothing comes within a while.
    pub fn nothing(&mut self) {
        self.0.set_read_timeout(Some(NOT)).unwrap();
        let mut byte = [0];
        match self.0.read(&mut byte) {
            Err(error) => assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}"),
            Ok(count) => panic!("unexpected {:x?}", &byte[..count]),
        }
        self.0.set_read_timeout(Some(SOON)).unwrap();
    }

    /// The next packet, which is a message of MQTT 3.1.1: topic and payload.
    pub fn message(&mut self) -> (String, String) {
        self.message_with_id().0
    }

    /// The same, and its packet id.
    pub fn message_with_id(&mut self) -> ((String, String), u16) {
        let head = self.read(2);
        assert_eq!(head[0] >> 4, 3, "a message: {head:x?}");
        let body = self.read(usize::from(head[1]));
        let length = usize::from(u16::from_be_bytes([body[0], body[1]]));
        let (topic, rest) = body[2..].split_at(length);
        let (id, payload) =
            if head[0] & 6 == 0 { (0, rest) } else { (u16::from_be_bytes([rest[0], rest[1]]), &rest[2..]) };
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        ((text(topic), text(payload)), id)
    }

    pub fn read(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.0.read_exact(&mut bytes).unwrap();
        bytes
    }
}

/// A CONNECT of the given protocol level with client id `raw` and no keep-alive.
pub fn connect_packet(level: u8) -> Vec<u8> {
    connect_as(level, "raw", true)
}

/// A CONNECT without keep-alive.
pub fn connect_as(level: u8, id: &str, clean: bool) -> Vec<u8> {
    let properties: &[u8] = if level == 5 { &[0] } else { &[] };
    let flags = u8::from(clean) << 1;
    let head = [0, 4, b'M', b'Q', b'T', b'T', level, flags, 0, 0];
    let body = [&head, properties, &text(id)].concat();
    [vec![0x10, body.len() as u8], body].concat()
}

fn text(text: &str) -> Vec<u8> {
    [&(text.len() as u16).to_be_bytes(), text.as_bytes()].concat()
}

/// A PUBLISH of MQTT 3.1.1.
pub fn publish(qos: u8, id: u16, duplicate: bool, topic: &str, payload: &str) -> Vec<u8> {
    packet(qos, id, duplicate, topic, &[], payload)
}

/// A PUBLISH of MQTT 5 without properties.
pub fn publish_5(qos: u8, id: u16, topic: &str, payload: &str) -> Vec<u8> {
    packet(qos, id, false, topic, &[0], payload)
}

fn packet(qos: u8, id: u16, duplicate: bool, topic: &str, properties: &[u8], payload: &str) -> Vec<u8> {
    let id = id.to_be_bytes();
    let id: &[u8] = if qos == 0 { &[] } else { &id };
    let body = [&text(topic), id, properties, payload.as_bytes()].concat();
    [vec![0x30 | u8::from(duplicate) << 3 | qos << 1, body.len() as u8], body].concat()
}
